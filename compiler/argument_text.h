// SPDX-License-Identifier: Apache-2.0
// Arguments of system calls by the names of the constants that they take (compiler/constants.h):
// `AF_VSOCK`, `SOCK_STREAM|SOCK_CLOEXEC`, `TCGETS`, `0o644`. The same words ask a question
// (compiler/question.h). One table says which argument takes which constants. Pure, thread-safe.
#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profiles/arch.h"
#include "profiles/filter.h"
#include "profiles/syscalls.h"

namespace bulkhead {

using Registers = decltype(SeccompData::args);
using KnownRegisters = std::bitset<kMaxSyscallArgs>;
inline constexpr KnownRegisters kAllRegisters{(1U << kMaxSyscallArgs) - 1};

// The value as the kernel reads it: bits of the register above the argument's width are not said.
// What no constant stands for is in hexadecimal, a number of type `int` in decimal, a mode of files
// in octal. Without an architecture only constants that mean the same on all of them are named.
// `index` is one of the call's.
std::string ArgumentText(std::optional<Arch> arch, std::string_view call,
                         const Registers& registers, unsigned index);

// Name and text of each argument in a known register, in their order, but of pointers: an address
// says nothing. Without an architecture only arguments that are in the same register on all that
// have the call; nothing for a call that is not known.
using NamedTexts = std::vector<std::pair<std::string_view, std::string>>;
NamedTexts ArgumentTexts(std::optional<Arch> arch, std::string_view call,
                         const Registers& registers, KnownRegisters known = kAllRegisters);

}  // namespace bulkhead
