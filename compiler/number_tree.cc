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

// A comparison more in the program may save one for so small a part of the calls.
constexpr uint64_t kNodeCost = kMixTotal >> 16;
// What every range counts for besides the points, from what shapes the tree for these alone to what
// makes it balanced: the first that is shallow enough is taken.
constexpr uint64_t kBases[] = {kMixTotal >> 12, kMixTotal >> 10, kMixTotal >> 8, kMixTotal >> 6,
                               kMixTotal >> 4};
// Comparisons on the longest path, above those of a balanced tree. Rare numbers pay for frequent
// ones; what an attacker can ask for as often as he likes stays bounded.
constexpr size_t kDeeper = 4;

// The low bits whose combinations are looked at: those of the numbers of calls.
constexpr size_t kBits = 9;
constexpr size_t kNumbers = size_t{1} << kBits;
// Only so many combinations are tried, and only if they catch this part of the calls.
constexpr size_t kTried = 2;
constexpr uint64_t kWorthwhile = kMixTotal / 8;

size_t Log2(size_t value) { return value < 2 ? 0 : static_cast<size_t>(std::bit_width(value - 1)); }

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
  const auto start = [&](uint32_t n, uint32_t outcome, uint64_t weight) {
    if (rest.segments.empty()) {
      rest.Start({0, outcome, weight});
    } else {
      // A number that stands alone is tested for at once; a range needs its ends.
      const bool alone = rest.segments.back().first == last;
      const uint32_t first = alone && rest.segments.back().outcome != outcome ? last + 1 : n;
      rest.Start({first, outcome, weight});
    }
    last = n;
  };
  for (uint32_t n = 0; n < kNumbers; ++n) {
    if ((n & ~bits) != 0) start(n, low.OutcomeOf(n), low.WeightOf(n));
  }
  const auto& segments = numbers.line.segments;
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool ends_below = i + 1 < segments.size() && segments[i + 1].first <= kNumbers;
    if (ends_below) continue;
    uint64_t weight = 0;
    const uint32_t first = std::max(segments[i].first, static_cast<uint32_t>(kNumbers));
    for (const Point& point : numbers.points) {
      const bool inside = point.value >= first && point.value - first <= numbers.line.Span(i);
      if (inside) weight += point.weight;
    }
    start(first, segments[i].outcome, weight);
  }
  return rest;
}

uint64_t CostOf(const Branching& tree, const std::vector<Point>& points) {
  uint64_t cost = kNodeCost * tree.nodes.size();
  for (const Point& point : points) {
    Branching::Target at = tree.root;
    while (!at.leaf) {
      const Branching::Node& node = tree.nodes[at.index];
      cost += point.weight;
      at = Holds(node, point.value) ? node.yes : node.no;
    }
  }
  return cost;
}

class Planner {
 public:
  explicit Planner(const NumberLine& numbers) : numbers_(numbers), low_(numbers) {
    for (const uint32_t bits : low_.BitSets()) {
      apart_.push_back({bits, Without(numbers, low_, bits)});
    }
  }

  Branching Plan(uint64_t base) const {
    Branching best = PlanTree(numbers_.line, {kNodeCost, base});
    uint64_t cost = CostOf(best, numbers_.points);
    for (const Apart& apart : apart_) {
      Branching tree = PlanTree(apart.rest, {kNodeCost, base});
      const Branching::Target set_apart{true, low_.OutcomeOf(0)};
      tree.nodes.push_back({Branching::Test::kAnyBit, ~apart.bits, tree.root, set_apart});
      tree.root = {false, static_cast<uint32_t>(tree.nodes.size() - 1)};
      const uint64_t other = CostOf(tree, numbers_.points);
      if (other >= cost) continue;
      cost = other;
      best = std::move(tree);
    }
    return best;
  }

 private:
  struct Apart {
    uint32_t bits;
    Line rest;
  };
  const NumberLine& numbers_;
  LowNumbers low_;
  std::vector<Apart> apart_;
};

}  // namespace

Branching PlanNumberTree(const NumberLine& numbers) {
  const size_t deep_enough = Log2(numbers.line.segments.size()) + kDeeper;
  const Planner planner(numbers);
  Branching tree;
  for (const uint64_t base : kBases) {
    tree = planner.Plan(base);
    if (Depth(tree) <= deep_enough) break;
  }
  return tree;
}

}  // namespace bulkhead
