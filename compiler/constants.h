// SPDX-License-Identifier: Apache-2.0
// The kernel's named constants that argument tests of a policy may use ("AF_UNIX", "TCGETS",
// "O_DIRECTORY"), with their values on each architecture. They are our own table and not the host's
// headers: a policy compiles to the same bytes on any machine, also for an architecture whose
// values differ. Source: the kernel's include/uapi, Linux 7.2. Constant data, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "profiles/arch.h"

namespace bulkhead {

struct Constant {
  std::string_view name;
  std::optional<uint64_t> x86_64;  // nullopt: the architecture has no such constant
  std::optional<uint64_t> aarch64;
};

// Grouped by family, as in the kernel's headers; names are unique.
std::span<const Constant> AllConstants();

// nullopt: no such name, or not on this architecture. A negative value (AT_FDCWD) is sign-extended
// to 64 bits: cut it to the width of the argument.
std::optional<uint64_t> ConstantValue(Arch arch, std::string_view name);

// Known on any architecture.
bool IsKnownConstant(std::string_view name);

}  // namespace bulkhead
