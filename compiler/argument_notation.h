// SPDX-License-Identifier: Apache-2.0
// Which argument of which system call takes which constants: one table, over that of the constants.
// Sources: the manual page of each call; where it leaves a choice, the kernel's own masks
// (SOCK_TYPE_MASK, O_ACCMODE, MAP_TYPE, CSIGNAL, FUTEX_CMD_MASK). Constant data, thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "compiler/constants.h"

namespace bulkhead {

// Constants that stand together in the table, in its order.
using Constants = std::span<const Constant>;

struct Notation {
  std::string_view calls;         // names between spaces; empty: every call with such an argument
  std::string_view argument;      // its name
  std::string_view condition;     // another argument's name; empty: it hangs on nothing
  std::string_view holds;         // the constant that the other one is
  std::vector<Constants> values;  // of these one is in `field`; the first of a number is its name
  std::vector<Constants> flags;   // of these any are in the rest, by their bits
  uint64_t field = 0;             // bits; 0: the whole argument
  bool octal = false;             // what has no name is written in octal
};

// In the order in which they are tried. Made at the first call.
std::span<const Notation> Notations();

}  // namespace bulkhead
