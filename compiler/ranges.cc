// SPDX-License-Identifier: Apache-2.0
#include "compiler/ranges.h"

#include <algorithm>
#include <bit>

namespace bulkhead {
namespace {

constexpr uint64_t kMostBlocks = 4096;

// What of the range is between first and last.
void AppendCut(Ranges& to, const Range& range, uint32_t first, uint32_t last) {
  const Range cut{std::max(range.first, first), std::min(range.last, last)};
  if (cut.first <= cut.last) Append(to, cut);
}

bool Passes(MaskTest test, uint32_t value, uint32_t limit) {
  switch (test) {
    case MaskTest::kEqual:
      return value == limit;
    case MaskTest::kAbove:
      return value > limit;
    case MaskTest::kAtLeast:
      return value >= limit;
  }
  return false;
}

}  // namespace

void Append(Ranges& ranges, Range range) {
  if (!ranges.empty() && ranges.back().last + 1 == range.first) {
    ranges.back().last = range.last;
  } else {
    ranges.push_back(range);
  }
}

bool Contains(const Ranges& ranges, uint32_t number) {
  const auto after = std::ranges::upper_bound(ranges, number, {}, &Range::first);
  return after != ranges.begin() && number <= std::prev(after)->last;
}

Division DivideByRange(const Ranges& ranges, uint32_t first, uint32_t last) {
  if (first > last) return {{}, ranges};
  Division division;
  for (const Range& range : ranges) {
    AppendCut(division.inside, range, first, last);
    if (first > 0) AppendCut(division.outside, range, 0, first - 1);
    if (last < UINT32_MAX) AppendCut(division.outside, range, last + 1, UINT32_MAX);
  }
  return division;
}

// Numbers that differ only below the mask's lowest bit answer alike: blocks of them are divided.
std::optional<Division> DivideByMask(const Ranges& ranges, uint32_t mask, MaskTest test,
                                     uint32_t limit) {
  if (mask == 0) {
    return Passes(test, 0, limit) ? Division{ranges, {}} : Division{{}, ranges};
  }
  const int shift = std::countr_zero(mask);
  uint64_t blocks = 0;
  for (const Range& range : ranges)
    blocks += uint64_t{range.last >> shift} - (range.first >> shift) + 1;
  if (blocks > kMostBlocks) return std::nullopt;
  const uint32_t below = (uint32_t{1} << shift) - 1;
  Division division;
  for (const Range& range : ranges) {
    for (uint64_t block = range.first >> shift; block <= range.last >> shift; ++block) {
      const auto start = static_cast<uint32_t>(block << shift);
      Ranges& side = Passes(test, start & mask, limit) ? division.inside : division.outside;
      AppendCut(side, range, start, start | below);
    }
  }
  return division;
}

}  // namespace bulkhead
