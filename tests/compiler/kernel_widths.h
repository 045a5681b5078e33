// SPDX-License-Identifier: Apache-2.0
// How much of a register the kernel reads: for every argument that a shipped profile tests, a call
// whose effect tells the values of that argument apart. Sources: the kernel's SYSCALL_DEFINEs and
// what they pass on.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace bulkhead::testing {

// What the bits above the width in the table do.
enum class Above : uint8_t {
  kNothing,  // the kernel doesn't read them: the table says 16 or 32 bits
  kCount,    // another value: the table says 64 bits
  kSpare,    // 64 bits by the table, and in this use of the call the kernel reads the low half
};

struct Objects;  // what the calls are tried on

struct WidthRow {
  std::string_view call;
  std::string_view arg;
  Above above;
  long (*observe)(Objects& objects, uint64_t value);
  uint64_t value;
  uint64_t other;         // to show that the observation tells values apart
  bool may_lack = false;  // a kernel may be built without it; then all comes to EINVAL
};

std::span<const WidthRow> WidthRows();

// What the running kernel makes of each value, a list a row, without a filter: in a cell, which
// needs root. std::runtime_error when what the calls are tried on can't be made.
std::vector<std::vector<long>> ObserveWidths(const std::vector<std::vector<uint64_t>>& values);

}  // namespace bulkhead::testing
