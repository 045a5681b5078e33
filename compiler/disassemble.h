// SPDX-License-Identifier: Apache-2.0
// A filter as text for people. Pure, thread-safe.
#pragma once

#include <string>

#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// One line an instruction: its index, what it does, absolute jump targets, and the name of the call
// where a number is compared. Opcodes that the generator does not write are printed as numbers.
std::string Disassemble(const Filter& filter, Arch arch);

}  // namespace bulkhead
