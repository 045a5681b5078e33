// SPDX-License-Identifier: Apache-2.0
// A program of the kernel's other architecture, where no instruction of this one changes to it.
#pragma once

#include <string>

namespace bulkhead::attacks {

// A whole ELF file; empty where one is not needed: x86_64 has an instruction that enters the ia32
// table. On aarch64, AArch32's: `program F` makes a socket of the family whose number is the
// character F's after `0`; `program Fc` makes the call that was socketcall before EABI. It ends
// with kRan, or with the errno as its exit code.
std::string CompatProgram();

}  // namespace bulkhead::attacks
