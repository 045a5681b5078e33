// SPDX-License-Identifier: Apache-2.0
// What the registers of an observed call say: the arguments that tell what it is for. Pure,
// thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// By name and value, as the kernel reads them: `domain=0x2 type=0x1 protocol=0x0`. Never a pointer,
// a descriptor, a length or the number of a process.
std::string ToldArguments(Arch arch, const SeccompData& data);

// Whether ToldArguments tells this argument of this call.
bool IsToldArgument(std::string_view call, std::string_view argument);

// What a call does to the path behind one of its registers.
enum class PathUse : uint8_t {
  kOpen,  // by its flags
  kExecute,
  kLook,  // metadata is read, or it is entered
  kWrite,
  kMake,      // made, also in the place of what is there
  kNew,       // made where nothing is
  kRemove,    // removed, renamed or given another name: what is there
  kMetadata,  // mode, owner, times or attributes are changed
};

struct PathArgument {
  int directory = -1;  // register of the directory's descriptor; -1: the working directory
  int path = 0;        // register of the pointer
  PathUse use = PathUse::kLook;
  int flags = -1;  // register of the flags of an opening; -1: none
};

// The paths of a call, at most two.
struct PathArguments {
  std::optional<PathArgument> first;
  std::optional<PathArgument> second;
};
PathArguments PathsOf(std::string_view call);

}  // namespace bulkhead
