// SPDX-License-Identifier: Apache-2.0
// Ranges against asking number by number.
#include "compiler/ranges.h"

#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/compiler/calls_support.h"

namespace bulkhead {
namespace {

using testing::PlanMaker;
using testing::Seed;

Ranges Some(PlanMaker& maker) {
  Ranges ranges;
  uint64_t at = maker.OneIn(3) ? 0 : maker.Below(40);
  while (at <= UINT32_MAX && ranges.size() < 6) {
    uint64_t last = at + maker.Below(maker.OneIn(3) ? 2 : 90);
    if (maker.OneIn(6)) last = at | maker.Below(UINT32_MAX);
    last = std::min<uint64_t>(last, UINT32_MAX);
    Append(ranges, {static_cast<uint32_t>(at), static_cast<uint32_t>(last)});
    at = last + 1 + maker.Below(50);
  }
  return ranges;
}

bool IsCanonical(const Ranges& ranges) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].first > ranges[i].last) return false;
    if (i > 0 && uint64_t{ranges[i - 1].last} + 1 >= ranges[i].first) return false;
  }
  return true;
}

// Each number is on the side where the test has it, if it was there at all.
template <typename Test>
void RequireDivided(const Ranges& ranges, const Division& division, PlanMaker& maker, Test test) {
  BOOST_REQUIRE(IsCanonical(division.inside));
  BOOST_REQUIRE(IsCanonical(division.outside));
  std::vector<uint32_t> probes{0, UINT32_MAX};
  for (uint32_t i = 0; i < 200; ++i) probes.push_back(i);
  for (const auto* side : {&ranges, &division.inside, &division.outside}) {
    for (const Range& range : *side) {
      for (const uint32_t end : {range.first, range.last}) {
        probes.insert(probes.end(), {end - 1, end, end + 1, end ^ (1U << maker.Below(32))});
      }
    }
  }
  for (const uint32_t probe : probes) {
    const bool there = Contains(ranges, probe);
    BOOST_REQUIRE(Contains(division.inside, probe) == (there && test(probe)));
    BOOST_REQUIRE(Contains(division.outside, probe) == (there && !test(probe)));
  }
}

BOOST_AUTO_TEST_SUITE(NumberRanges)

BOOST_AUTO_TEST_CASE(DividedByRange) {
  PlanMaker maker(Seed());
  for (int i = 0; i < 2000; ++i) {
    const Ranges ranges = Some(maker);
    BOOST_REQUIRE(IsCanonical(ranges));
    const auto first = static_cast<uint32_t>(maker.OneIn(2) ? maker.Below(100) : maker.Value(32));
    const auto last = static_cast<uint32_t>(maker.OneIn(3) ? first : maker.Value(32));
    RequireDivided(ranges, DivideByRange(ranges, first, last), maker,
                   [&](uint32_t number) { return first <= number && number <= last; });
  }
}

BOOST_AUTO_TEST_CASE(DividedByMask) {
  PlanMaker maker(Seed());
  size_t divided = 0;
  for (int i = 0; i < 2000; ++i) {
    const Ranges ranges = Some(maker);
    const auto mask = static_cast<uint32_t>(maker.OneIn(2) ? maker.Value(32) & UINT32_MAX << 20
                                                           : maker.Value(32));
    const auto limit = static_cast<uint32_t>(maker.Value(32)) & mask;
    const auto require = [&](MaskTest kind, auto test) {
      const auto division = DivideByMask(ranges, mask, kind, limit);
      if (!division) return;
      ++divided;
      RequireDivided(ranges, *division, maker, test);
    };
    require(MaskTest::kEqual, [&](uint32_t number) { return (number & mask) == limit; });
    require(MaskTest::kAbove, [&](uint32_t number) { return (number & mask) > limit; });
    require(MaskTest::kAtLeast, [&](uint32_t number) { return (number & mask) >= limit; });
  }
  BOOST_TEST(divided > 1000U);
  BOOST_TEST(!DivideByMask({{0, UINT32_MAX}}, 1, MaskTest::kEqual, 0).has_value());
}

// Where the mask has all upper bits no number is too large to be told apart.
BOOST_AUTO_TEST_CASE(DividedByUpperBits) {
  PlanMaker maker(Seed());
  for (int i = 0; i < 2000; ++i) {
    const Ranges ranges = maker.OneIn(2) ? Ranges{{0, UINT32_MAX}} : Some(maker);
    const auto mask = UINT32_MAX << maker.Below(12) | static_cast<uint32_t>(maker.Value(32));
    const auto limit = static_cast<uint32_t>(maker.OneIn(2) ? 0 : maker.Value(32)) & mask;
    const auto equal = DivideByMask(ranges, mask, MaskTest::kEqual, limit);
    BOOST_REQUIRE(equal.has_value());
    RequireDivided(ranges, *equal, maker, [&](uint32_t n) { return (n & mask) == limit; });
    const auto set = DivideByMask(ranges, mask, MaskTest::kAbove, 0);
    BOOST_REQUIRE(set.has_value());
    RequireDivided(ranges, *set, maker, [&](uint32_t n) { return (n & mask) != 0; });
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
