// SPDX-License-Identifier: Apache-2.0
#include "compiler/number_tree.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <tuple>

#include "compiler/call_mix.h"

namespace bulkhead {
namespace {

// What every range counts for besides the points, so that rare ones are not at the end of a list.
constexpr uint64_t kBase = kMixTotal >> 12;
// What an instruction more on the longest path may save. Rare numbers pay for frequent ones, but an
// attacker can ask for the rarest as often as he likes.
constexpr uint64_t kPathCost = kMixTotal >> 4;
// Longest paths are shortened in so many steps, by making what ends them heavier.
constexpr size_t kSteps = 6;
constexpr size_t kMostVain = 3;  // steps in a row that gain nothing
constexpr uint64_t kFirstBoost = kMixTotal >> 9;

// The low bits whose combinations are looked at: those of the numbers of calls.
constexpr size_t kBits = 9;
constexpr size_t kNumbers = size_t{1} << kBits;
// Only so many combinations are tried, and only if they catch this part of the calls.
constexpr size_t kTried = 2;
constexpr uint64_t kWorthwhile = kMixTotal / 8;

class LowNumbers {
 public:
  explicit LowNumbers(const NumberLine& numbers) {
    const auto& segments = numbers.line.segments;
    size_t at = 0;
    for (uint32_t n = 0; n < kNumbers; ++n) {
      while (at + 1 < segments.size() && segments[at + 1].first <= n) ++at;
      outcome_[n] = segments[at].outcome;
    }
    for (const Point& point : numbers.points) {
      if (point.value < kNumbers) weight_[point.value] += point.weight;
    }
  }

  uint32_t OutcomeOf(uint32_t n) const { return outcome_[n]; }
  uint64_t WeightOf(uint32_t n) const { return weight_[n]; }

  // Sets of bits of which all combinations have one outcome, that catch most; no plain range.
  std::vector<uint32_t> BitSets() const {
    std::array<uint64_t, kNumbers> caught = weight_;
    for (uint32_t bit = 1; bit < kNumbers; bit <<= 1) {
      for (uint32_t set = 0; set < kNumbers; ++set) {
        if ((set & bit) != 0) caught[set] += caught[set ^ bit];
      }
    }
    std::vector<uint32_t> sets;
    for (uint32_t set = 1; set < kNumbers; ++set) {
      if ((set & (set + 1)) != 0 && caught[set] >= kWorthwhile && IsOneOutcome(set)) {
        sets.push_back(set);
      }
    }
    const auto rank = [&](uint32_t set) {
      return std::tuple(caught[set], std::popcount(set), set);
    };
    std::ranges::sort(sets, std::greater<>(), rank);
    sets.resize(std::min(sets.size(), kTried));
    return sets;
  }

 private:
  bool IsOneOutcome(uint32_t set) const {
    for (uint32_t n = set; n != 0; n = (n - 1) & set) {
      if (outcome_[n] != outcome_[0]) return false;
    }
    return true;
  }

  std::array<uint32_t, kNumbers> outcome_{};
  std::array<uint64_t, kNumbers> weight_{};
};

// The line less the combinations of `bits`: these are known not to come, so that a neighbour may
// have them.
Line Without(const NumberLine& numbers, const LowNumbers& low, uint32_t bits) {
  Line rest;
  rest.last = numbers.line.last;
  uint32_t last = 0;  // that can come
  const auto start = [&](uint32_t n, uint32_t end, uint32_t outcome, uint64_t weight) {
    if (rest.segments.empty()) {
      rest.Start({0, outcome, weight});
    } else {
      // A number that stands alone is tested for at once; a range needs its ends.
      const bool alone = rest.segments.back().first == last;
      const uint32_t first = alone && rest.segments.back().outcome != outcome ? last + 1 : n;
      rest.Start({first, outcome, weight});
    }
    last = end;
  };
  for (uint32_t n = 0; n < kNumbers; ++n) {
    if ((n & ~bits) != 0) start(n, n, low.OutcomeOf(n), low.WeightOf(n));
  }
  const auto& segments = numbers.line.segments;
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool ends_below = i + 1 < segments.size() && segments[i + 1].first <= kNumbers;
    if (ends_below) continue;
    uint64_t weight = 0;
    const uint32_t first = std::max(segments[i].first, static_cast<uint32_t>(kNumbers));
    const uint32_t end = segments[i].first + numbers.line.Span(i);
    for (const Point& point : numbers.points) {
      if (point.value >= first && point.value <= end) weight += point.weight;
    }
    start(first, end, segments[i].outcome, weight);
  }
  return rest;
}

size_t DepthOf(const Branching& tree, uint32_t value) {
  size_t depth = 0;
  for (Branching::Target at = tree.root; !at.leaf; ++depth) {
    const Branching::Node& node = tree.nodes[at.index];
    at = Holds(node, value) ? node.yes : node.no;
  }
  return depth;
}

uint64_t CostOf(const Branching& tree, const std::vector<Point>& points) {
  uint64_t cost = kNodeCost * tree.nodes.size();
  for (const Point& point : points) cost += point.weight * DepthOf(tree, point.value);
  return cost;
}

// The tree in which the combinations of `bits` are set apart at once; 0: none are.
Branching Plan(const NumberLine& numbers, const LowNumbers& low, uint32_t bits) {
  if (bits == 0) return PlanTree(numbers.line, {kNodeCost, kBase});
  Branching tree = PlanTree(Without(numbers, low, bits), {kNodeCost, kBase});
  const Branching::Target set_apart{true, low.OutcomeOf(0)};
  tree.nodes.push_back({Branching::Test::kAnyBit, ~bits, tree.root, set_apart});
  tree.root = {false, static_cast<uint32_t>(tree.nodes.size() - 1)};
  return tree;
}

struct BitsPlan {
  uint32_t bits = 0;
  Branching tree;
};

BitsPlan BestBits(const NumberLine& numbers) {
  const LowNumbers low(numbers);
  BitsPlan best{0, Plan(numbers, low, 0)};
  uint64_t least = CostOf(best.tree, numbers.points);
  for (const uint32_t bits : low.BitSets()) {
    Branching tree = Plan(numbers, low, bits);
    const uint64_t cost = CostOf(tree, numbers.points);
    if (cost >= least) continue;
    least = cost;
    best = {bits, std::move(tree)};
  }
  return best;
}

// Instructions to the end, where the segment starts.
size_t PathOf(const Branching& tree, const NumberLine& numbers, const Segment& segment) {
  return DepthOf(tree, segment.first) + numbers.heights[segment.outcome];
}

size_t LongestPath(const Branching& tree, const NumberLine& numbers) {
  size_t longest = 0;
  for (const Segment& segment : numbers.line.segments) {
    longest = std::max(longest, PathOf(tree, numbers, segment));
  }
  return longest;
}

// Where the paths of this length end.
void Boost(NumberLine& numbers, const Branching& tree, size_t length, uint64_t by) {
  for (Segment& segment : numbers.line.segments) {
    if (PathOf(tree, numbers, segment) < length) continue;
    segment.weight += by;
    const auto point = std::ranges::lower_bound(numbers.points, segment.first, {}, &Point::value);
    if (point != numbers.points.end() && point->value == segment.first) {
      point->weight += by;
    } else {
      numbers.points.insert(point, {segment.first, by});
    }
  }
}

}  // namespace

Branching PlanNumberTree(const NumberLine& numbers) {
  BitsPlan first = BestBits(numbers);
  NumberLine boosted = numbers;
  Branching best;
  uint64_t least = UINT64_MAX;
  uint64_t by = kFirstBoost;
  size_t vain = 0;
  for (size_t step = 0; step < kSteps && vain < kMostVain; ++step, ++vain) {
    Branching tree =
        step == 0 ? std::move(first.tree) : Plan(boosted, LowNumbers(boosted), first.bits);
    const size_t longest = LongestPath(tree, numbers);
    const uint64_t cost = CostOf(tree, numbers.points) + kPathCost * longest;
    Boost(boosted, tree, longest, by);
    by += by;
    if (cost >= least) continue;
    vain = 0;
    least = cost;
    best = std::move(tree);
  }
  return best;
}

}  // namespace bulkhead
