// SPDX-License-Identifier: Apache-2.0
// Trees against the line itself, and against the best tree there is on lines short enough to try
// all.
#include "compiler/decision_tree.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <utility>

#include "compiler/call_mix.h"
#include "compiler/number_tree.h"
#include "tests/compiler/calls_support.h"

namespace bulkhead {
namespace {

using testing::PlanMaker;
using testing::Seed;

struct Found {
  uint32_t outcome = 0;
  uint64_t comparisons = 0;
};

Found Find(const Branching& tree, uint32_t value) {
  Found found;
  Branching::Target at = tree.root;
  while (!at.leaf) {
    const Branching::Node& node = tree.nodes[at.index];
    at = Holds(node, value) ? node.yes : node.no;
    ++found.comparisons;
  }
  found.outcome = at.index;
  return found;
}

Line SomeLine(PlanMaker& maker, uint32_t segments, uint32_t outcomes) {
  Line line;
  uint32_t first = 0;
  for (uint32_t i = 0; i < segments; ++i) {
    line.Start({first, maker.Below(outcomes), maker.OneIn(3) ? maker.Below(1000) : 1});
    first += 1 + (maker.OneIn(2) ? 0 : maker.Below(9));
  }
  line.last = maker.OneIn(2) ? UINT32_MAX : first;
  return line;
}

void RequireFound(const Line& line, const Branching& tree, uint32_t seed) {
  for (size_t i = 0; i < line.segments.size(); ++i) {
    for (const uint32_t offset : {uint32_t{0}, line.Span(i) / 2, line.Span(i)}) {
      const Found found = Find(tree, line.segments[i].first + offset);
      BOOST_REQUIRE_MESSAGE(found.outcome == line.segments[i].outcome, "seed " << seed);
      BOOST_REQUIRE(found.comparisons <= Depth(tree));
    }
  }
}

uint64_t Cost(const Line& line, const Branching& tree) {
  uint64_t cost = 0;
  for (const Segment& segment : line.segments) {
    cost += segment.weight * Find(tree, segment.first).comparisons;
  }
  return cost;
}

// The cost of the best tree of any comparisons for the segments in `left`.
class BestCost {
 public:
  explicit BestCost(const Line& line) : line_(line) {}

  uint64_t Of(const std::vector<size_t>& left) {
    uint64_t weight = 0;
    bool one = true;
    for (const size_t i : left) {
      weight += line_.segments[i].weight;
      one = one && line_.segments[i].outcome == line_.segments[left[0]].outcome;
    }
    if (one) return 0;
    const auto [known, is_new] = known_.try_emplace(left, UINT64_MAX);
    if (!is_new) return known->second;
    uint64_t best = UINT64_MAX;
    for (size_t i = 1; i < left.size(); ++i) {
      const auto at = left.begin() + static_cast<std::ptrdiff_t>(i);
      best = std::min(best, Of({left.begin(), at}) + Of({at, left.end()}));
    }
    for (size_t i = 0; i < left.size(); ++i) {
      if (line_.Span(left[i]) != 0) continue;
      std::vector<size_t> rest = left;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
      best = std::min(best, Of(rest));
    }
    return known_[left] = best + weight;
  }

 private:
  const Line& line_;
  std::map<std::vector<size_t>, uint64_t> known_;
};

BOOST_AUTO_TEST_SUITE(DecisionTrees)

BOOST_AUTO_TEST_CASE(FindWhatTheLineSays) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  for (int i = 0; i < 300; ++i) {
    const Line line = SomeLine(maker, 1 + maker.Below(i % 10 == 0 ? 700 : 60), 2 + maker.Below(4));
    RequireFound(line, PlanTree(line, {maker.Below(3), maker.Below(3)}), seed);
  }
}

// Within five in a hundred of the best on average: a few cuts beside heavy numbers are not tried.
BOOST_AUTO_TEST_CASE(NearTheBest) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  double reached = 0;
  double best = 0;
  for (int i = 0; i < 120; ++i) {
    const Line line = SomeLine(maker, 3 + maker.Below(7), 2 + maker.Below(2));
    std::vector<size_t> all(line.segments.size());
    for (size_t k = 0; k < all.size(); ++k) all[k] = k;
    const uint64_t least = BestCost(line).Of(all);
    const uint64_t cost = Cost(line, PlanTree(line, {}));
    BOOST_REQUIRE(cost >= least);
    reached += static_cast<double>(cost);
    best += static_cast<double>(least);
  }
  BOOST_TEST(reached <= 1.05 * best, reached / best << ", seed " << seed);
}

BOOST_AUTO_TEST_CASE(DepthGrowsWithTheLogarithm) {
  PlanMaker maker(Seed());
  for (const uint32_t segments : {10U, 100U, 1000U, 4000U}) {
    const Line line = SomeLine(maker, segments, 3);
    size_t log = 0;
    while (segments > size_t{1} << log) ++log;
    BOOST_TEST(Depth(PlanTree(line, {1, 1000})) <= 2 * log + 4);
  }
}

BOOST_AUTO_TEST_CASE(NumbersAreFound) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  size_t bit_tests = 0;
  for (int i = 0; i < 200; ++i) {
    NumberLine numbers{SomeLine(maker, 1 + maker.Below(30), 2), {}, {1, maker.Below(20)}};
    for (Segment& segment : numbers.line.segments) {
      segment.weight = kMixTotal / 64 * maker.Below(64) / numbers.line.segments.size();
      if (segment.weight != 0) numbers.points.push_back({segment.first, segment.weight});
    }
    const Branching tree = PlanNumberTree(numbers);
    RequireFound(numbers.line, tree, seed);
    for (uint32_t n = 0; n < 600; ++n) {
      size_t at = 0;
      const auto& segments = numbers.line.segments;
      while (at + 1 < segments.size() && segments[at + 1].first <= n) ++at;
      if (n - segments[at].first > numbers.line.Span(at)) break;
      BOOST_REQUIRE_MESSAGE(Find(tree, n).outcome == segments[at].outcome, "seed " << seed);
    }
    for (const auto& node : tree.nodes) {
      if (node.test == Branching::Test::kAnyBit) ++bit_tests;
    }
  }
  BOOST_TEST_MESSAGE(bit_tests << " tests of bits");
}

// {0 to 31, 64 to 95} in one comparison, as no cut can.
BOOST_AUTO_TEST_CASE(BitsSetNumbersApart) {
  NumberLine numbers;
  numbers.heights = {1, 1};
  for (const uint32_t first : {0U, 32U, 64U, 96U}) {
    numbers.line.Start({first, first / 32 % 2, kMixTotal / 4});
    numbers.points.push_back({first + 1, kMixTotal / 4});
  }
  const Branching tree = PlanNumberTree(numbers);
  const Branching::Node& root = tree.nodes[tree.root.index];
  BOOST_TEST((root.test == Branching::Test::kAnyBit));
  BOOST_TEST(root.k == ~uint32_t{0x5f});
  for (const Point& point : numbers.points) {
    BOOST_TEST(Find(tree, point.value).outcome == point.value / 32 % 2);
  }
}

// Ranges above the bits that are looked at, beside numbers that stand alone.
BOOST_AUTO_TEST_CASE(BitsLeaveLongRangesWhole) {
  NumberLine numbers;
  numbers.heights = {1, 1, 1};
  for (const uint32_t first : {0U, 32U, 64U, 96U}) {
    numbers.line.Start({first, first / 32 % 2, kMixTotal / 4});
    numbers.points.push_back({first + 1, kMixTotal / 4});
  }
  numbers.line.Start({1000000, 2, 0});
  numbers.line.Start({1000001, 0, 0});
  numbers.line.Start({0x40000000, 1, 0});
  const Branching tree = PlanNumberTree(numbers);
  BOOST_TEST((tree.nodes[tree.root.index].test == Branching::Test::kAnyBit));
  for (const auto& [value, outcome] :
       std::initializer_list<std::pair<uint32_t, uint32_t>>{{999999, 1},
                                                            {1000000, 2},
                                                            {1000001, 0},
                                                            {1000002, 0},
                                                            {0x3fffffff, 0},
                                                            {0x40000000, 1},
                                                            {UINT32_MAX, 1}}) {
    BOOST_TEST(Find(tree, value).outcome == outcome, value);
  }
}

// What has the most behind it is found with the fewest comparisons, though nobody asks for it.
BOOST_AUTO_TEST_CASE(LongPathsAreShortened) {
  NumberLine numbers;
  numbers.heights = {1, 1, 1};
  for (uint32_t n = 0; n < 40; ++n) {
    const uint32_t outcome = n == 20 ? 2 : n % 2;
    const uint64_t weight = kMixTotal >> (n / 2 + 1);
    numbers.line.Start({n, outcome, weight});
    numbers.points.push_back({n, weight});
  }
  const auto depth = [&] { return Find(PlanNumberTree(numbers), 20).comparisons; };
  const uint64_t before = depth();
  numbers.heights[2] = 30;
  const uint64_t after = depth();
  BOOST_TEST(after < before, after << " and " << before);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
