// SPDX-License-Identifier: Apache-2.0
// Sets of 32-bit numbers as sorted, disjoint ranges that do not touch, so that equal sets are equal
// values: what the proof knows of system call numbers and architectures. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace bulkhead {

struct Range {
  uint32_t first = 0;
  uint32_t last = UINT32_MAX;
  bool operator==(const Range&) const = default;
};

using Ranges = std::vector<Range>;

// Adds a range that begins after all of `ranges`; it joins the last one when they touch.
void Append(Ranges& ranges, Range range);

bool Contains(const Ranges& ranges, uint32_t number);

struct Division {
  Ranges inside;
  Ranges outside;
};

// The numbers from first to last, which may be empty (first > last), and the others.
Division DivideByRange(const Ranges& ranges, uint32_t first, uint32_t last);

enum class MaskTest : uint8_t { kEqual, kAbove, kAtLeast };

// Inside are the numbers with (number & mask) equal to, above or at least `limit`. nullopt: too
// many ranges come of it.
std::optional<Division> DivideByMask(const Ranges& ranges, uint32_t mask, MaskTest test,
                                     uint32_t limit);

}  // namespace bulkhead
