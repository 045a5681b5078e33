// SPDX-License-Identifier: Apache-2.0
// Single calls as a hostile program makes them: any number, any registers, by either way into the
// kernel. Neither allocates nor makes a call besides. Sources: syscall(2), asm/unistd.h,
// arch/x86/entry.
#pragma once

#include <array>
#include <cstdint>

#include "profiles/filter.h"

namespace bulkhead::testing {

enum class Way : uint8_t {
  kNative,
  kIa32,  // int 0x80, on x86_64: numbers and registers of i386
};

struct KernelCall {
  uint64_t number = 0;  // the whole register, of which the kernel takes the low half
  std::array<uint64_t, 6> args{};
  Way way = Way::kNative;
  auto operator<=>(const KernelCall&) const = default;
};

// What a filter is asked about this call.
SeccompData AsSeen(const KernelCall& call);

// The call a filter was asked about: of the native architecture.
KernelCall AsMade(const SeccompData& data);

// Makes it: the result, or minus the errno. A child that the call makes (clone, fork, vfork) exits
// with 0 at once, by exit_group. kIa32 ends the process by SIGSEGV where the kernel lacks it.
long MakeCall(const KernelCall& call);

}  // namespace bulkhead::testing
