// SPDX-License-Identifier: Apache-2.0
#include "compiler/ranges.h"

#include <algorithm>
#include <bit>
#include <utility>

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

// Numbers that differ only below a mask's lowest bit answer alike: blocks of them are divided.
class Blocks {
 public:
  Blocks(uint32_t mask, MaskTest test, uint32_t limit)
      : mask_(mask), shift_(std::countr_zero(mask)), test_(test), limit_(limit) {}

  // Those of the ranges that have numbers of `within`.
  uint64_t CountOf(const Ranges& ranges, const Range& within) const {
    uint64_t count = 0;
    for (const Range& range : ranges) {
      const uint32_t first = std::max(range.first, within.first);
      const uint32_t last = std::min(range.last, within.last);
      if (first <= last) count += uint64_t{last >> shift_} - (first >> shift_) + 1;
    }
    return count;
  }

  void Append(const Range& range, Division& division) const {
    const uint32_t below = (uint32_t{1} << shift_) - 1;
    for (uint64_t block = range.first >> shift_; block <= range.last >> shift_; ++block) {
      const auto start = static_cast<uint32_t>(block << shift_);
      const bool passes = Passes(test_, start & mask_, limit_);
      AppendCut(passes ? division.inside : division.outside, range, start, start | below);
    }
  }

 private:
  uint32_t mask_;
  int shift_;
  MaskTest test_;
  uint32_t limit_;
};

// Where the mask has all upper bits, only numbers with those of the limit can be equal to it.
std::optional<Division> DivideByEquality(const Ranges& ranges, uint32_t mask, uint32_t limit) {
  const int upper = std::countl_one(mask);
  const uint32_t free = upper == 32 ? 0 : UINT32_MAX >> upper;
  const Range core{limit & ~free, limit | free};
  const Blocks blocks(mask, MaskTest::kEqual, limit);
  if (blocks.CountOf(ranges, core) > kMostBlocks) return std::nullopt;
  Division division;
  for (const Range& range : ranges) {
    if (core.first > 0) AppendCut(division.outside, range, 0, core.first - 1);
    const Range cut{std::max(range.first, core.first), std::min(range.last, core.last)};
    if (cut.first <= cut.last) blocks.Append(cut, division);
    if (core.last < UINT32_MAX) AppendCut(division.outside, range, core.last + 1, UINT32_MAX);
  }
  return division;
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

std::optional<Division> DivideByMask(const Ranges& ranges, uint32_t mask, MaskTest test,
                                     uint32_t limit) {
  if (mask == 0) {
    return Passes(test, 0, limit) ? Division{ranges, {}} : Division{{}, ranges};
  }
  const bool above_none = test == MaskTest::kAbove && limit == 0;
  if (above_none || test == MaskTest::kEqual) {
    auto division = DivideByEquality(ranges, mask, limit);
    if (division && above_none) std::swap(division->inside, division->outside);
    return division;
  }
  Division division;
  const Blocks blocks(mask, test, limit);
  if (blocks.CountOf(ranges, {}) > kMostBlocks) return std::nullopt;
  for (const Range& range : ranges) blocks.Append(range, division);
  return division;
}

}  // namespace bulkhead
