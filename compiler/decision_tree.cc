// SPDX-License-Identifier: Apache-2.0
#include "compiler/decision_tree.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>

namespace bulkhead {
namespace {

// Longer lines are halved by weight until they are no longer than this: the search takes the square
// of a line's length.
constexpr size_t kMostSearched = 128;
// So many single numbers, the heaviest, are tried before any cut.
constexpr size_t kMostTakenOut = 4;
// A number lighter than one of so many parts of its line isn't taken out of the middle of it.
constexpr uint64_t kHeavy = 200;
// How far beyond its bounds a best cut is looked for.
constexpr size_t kBeyond = 2;
// So many single numbers among one outcome are compared one after the other.
constexpr size_t kLongestChain = 4;

using Target = Branching::Target;
using Node = Branching::Node;

Target Push(Branching& tree, const Node& node) {
  if (node.yes == node.no) return node.yes;
  tree.nodes.push_back(node);
  return {false, static_cast<uint32_t>(tree.nodes.size() - 1)};
}

// One line, less the single numbers that were taken out of it so far.
struct Level {
  Line line;
  std::vector<uint64_t> before;  // weight of the segments before this one
  size_t out = 0;                // the segment that the next level lacks; 0: there is none
  // At a * size + b, for the segments a to b, each set before it is read:
  std::unique_ptr<uint64_t[]> cost;  // of the best tree
  std::unique_ptr<uint16_t[]> choice;
  std::unique_ptr<uint16_t[]> cut;  // the best place to cut, whether or not it is chosen

  explicit Level(Line segments) : line(std::move(segments)) {
    before.push_back(0);
    for (const Segment& segment : line.segments) before.push_back(before.back() + segment.weight);
    const size_t cells = size() * size();
    cost = std::make_unique_for_overwrite<uint64_t[]>(cells);
    choice = std::make_unique_for_overwrite<uint16_t[]>(cells);
    cut = std::make_unique_for_overwrite<uint16_t[]>(cells);
    for (size_t i = 0; i < size(); ++i) cost[At(i, i)] = 0;
  }
  size_t size() const { return line.segments.size(); }
  size_t At(size_t a, size_t b) const { return a * size() + b; }
  uint64_t Weight(size_t a, size_t b) const { return before[b + 1] - before[a]; }
  uint32_t OutcomeOf(size_t index) const { return line.segments[index].outcome; }
  uint64_t WeightOf(size_t index) const { return line.segments[index].weight; }
  bool IsAmidst(size_t index) const {
    return index > 0 && index + 1 < size() && line.Span(index) == 0 &&
           OutcomeOf(index - 1) == OutcomeOf(index + 1);
  }
};

// What is done first, where it is not a cut before a segment (its index).
enum Choice : uint16_t { kChain = 0xffff, kTakeOut = 0xfffe, kNextLevel = 0xfffd };

class Search {
 public:
  Search(const Line& line, uint64_t node_cost, Branching& tree) : node_(node_cost), tree_(tree) {
    levels_.emplace_back(line);
    while (levels_.size() <= kMostTakenOut && TakeOutHeaviest()) {
    }
    for (size_t k = levels_.size(); k-- > 0;) Fill(k);
  }

  Target Write() { return Write(0, 0, levels_[0].size() - 1); }

 private:
  bool TakeOutHeaviest() {
    Level& level = levels_.back();
    const uint64_t least = level.before.back() / kHeavy + 1;
    for (size_t i = 1; i + 1 < level.size(); ++i) {
      if (!level.IsAmidst(i) || level.WeightOf(i) < least) continue;
      if (level.out == 0 || level.WeightOf(i) > level.WeightOf(level.out)) level.out = i;
    }
    if (level.out == 0) return false;
    Line rest = level.line;
    const auto at = rest.segments.begin() + static_cast<std::ptrdiff_t>(level.out);
    std::prev(at)->weight += std::next(at)->weight;
    rest.segments.erase(at, std::next(at, 2));
    levels_.emplace_back(std::move(rest));
    return true;
  }

  // Shorter stretches first: longer ones are made of them.
  void Fill(size_t k) {
    Level& level = levels_[k];
    if (level.out != 0) TakeFromNext(level, levels_[k + 1]);
    for (size_t length = 2; length <= level.size(); ++length) {
      size_t first = 0;
      size_t end = level.size() - length + 1;
      if (level.out != 0) {
        first = std::max(level.out, length) - length;
        end = std::min(end, level.out + 2);
      }
      for (size_t a = first; a < end; ++a) Decide(k, a, a + length - 1);
    }
  }

  // Stretches clear of the number that is taken out and of both its neighbours, which are one
  // there, are the next level's.
  static void TakeFromNext(Level& level, const Level& next) {
    const auto take = [&](size_t a, size_t end, size_t gone) {
      const size_t count = end - a - 1;
      const size_t to = level.At(a, a + 1);
      const size_t from = next.At(a - gone, a - gone + 1);
      std::copy_n(&next.cost[from], count, &level.cost[to]);
      std::transform(&next.cut[from], &next.cut[from] + count, &level.cut[to],
                     [&](uint16_t cut) { return static_cast<uint16_t>(cut + gone); });
      std::fill_n(&level.choice[to], count, kNextLevel);
    };
    for (size_t a = 0; a + 1 < level.out; ++a) take(a, level.out - 1, 0);
    for (size_t a = level.out + 2; a < level.size(); ++a) take(a, level.size(), 2);
  }

  struct Best {
    uint64_t cost;
    uint16_t choice;
    void Offer(uint64_t other, uint16_t by) {
      if (other < cost) *this = {other, by};
    }
  };

  void Decide(size_t k, size_t a, size_t b) {
    Level& level = levels_[k];
    const size_t at = level.At(a, b);
    level.cut[at] = BestCut(level, a, b);
    Best best{CutCost(level, a, level.cut[at], b), level.cut[at]};
    if (level.out != 0 && a < level.out && level.out < b) {
      const Level& next = levels_[k + 1];
      best.Offer(next.cost[next.At(a, b - 2)] + Test(level, a, b), kTakeOut);
    }
    if (b - a <= 2 * kLongestChain) {
      if (const auto chain = ChainCost(level, a, b)) best.Offer(*chain, kChain);
    }
    level.cost[at] = best.cost;
    level.choice[at] = best.choice;
  }

  uint64_t CutCost(const Level& level, size_t a, size_t cut, size_t b) const {
    return level.cost[level.At(a, cut - 1)] + level.cost[level.At(cut, b)] + Test(level, a, b);
  }

  // Between the best cuts of the stretches that are one segment shorter, and a little beyond. For
  // cuts alone nothing beyond is needed (Knuth, Optimum binary search trees, 1971); the other tests
  // move the best cut now and then.
  uint16_t BestCut(const Level& level, size_t a, size_t b) const {
    size_t first = a + 1;
    size_t last = b;
    if (b - a > kBeyond) {
      const auto [low, high] =
          std::minmax(level.cut[level.At(a, b - 1)], level.cut[level.At(a + 1, b)]);
      first = std::max(first + kBeyond, size_t{low}) - kBeyond;
      last = std::min(last, size_t{high} + kBeyond);
    }
    Best best{UINT64_MAX, 0};
    for (size_t cut = first; cut <= last; ++cut) {
      best.Offer(CutCost(level, a, cut, b), static_cast<uint16_t>(cut));
    }
    return best.choice;
  }

  uint64_t Test(const Level& level, size_t a, size_t b) const { return level.Weight(a, b) + node_; }

  // Segments of single numbers, heaviest first; no memory of the heap, as it is asked for often.
  struct Singles {
    std::array<size_t, kLongestChain> index{};
    size_t count = 0;
    std::span<const size_t> all() const { return std::span(index).first(count); }
  };

  // The single numbers from a to b, if all else there has one outcome; else none.
  static Singles Chain(const Level& level, size_t a, size_t b) {
    if ((b - a) % 2 != 0 || b - a > 2 * kLongestChain) return {};
    Singles singles;
    for (size_t i = a + 1; i < b; i += 2) {
      if (!level.IsAmidst(i)) return {};
      size_t at = singles.count++;
      for (; at > 0 && level.WeightOf(singles.index[at - 1]) < level.WeightOf(i); --at) {
        singles.index[at] = singles.index[at - 1];
      }
      singles.index[at] = i;
    }
    return singles;
  }

  std::optional<uint64_t> ChainCost(const Level& level, size_t a, size_t b) const {
    const Singles singles = Chain(level, a, b);
    if (singles.count == 0) return std::nullopt;
    uint64_t cost = 0;
    uint64_t left = level.Weight(a, b);
    for (const size_t single : singles.all()) {
      cost += left + node_;
      left -= level.WeightOf(single);
    }
    return cost;
  }

  Target Equal(const Level& level, size_t index, Target otherwise) {
    return Push(tree_, {Branching::Test::kEqual,
                        level.line.segments[index].first,
                        {true, level.OutcomeOf(index)},
                        otherwise});
  }

  // Recursion goes no deeper than the segments of a line that is searched.
  Target Write(size_t k, size_t a, size_t b) {
    const Level& level = levels_[k];
    if (a == b) return {true, level.OutcomeOf(a)};
    const uint16_t choice = level.choice[level.At(a, b)];
    if (choice == kNextLevel) {
      return b < level.out ? Write(k + 1, a, b) : Write(k + 1, a - 2, b - 2);
    }
    if (choice == kTakeOut) return Equal(level, level.out, Write(k + 1, a, b - 2));
    if (choice == kChain) {
      Target target{true, level.OutcomeOf(a)};
      const Singles singles = Chain(level, a, b);
      for (size_t i = singles.count; i-- > 0;) target = Equal(level, singles.index[i], target);
      return target;
    }
    const Target above = Write(k, choice, b);
    const Target below = Write(k, a, choice - 1U);
    const uint32_t first = level.line.segments[choice].first;
    // A single number at an end is easier to read as one.
    if (choice == b && level.line.Span(b) == 0) {
      return Push(tree_, {Branching::Test::kEqual, first, above, below});
    }
    if (choice == a + 1 && level.line.Span(a) == 0) {
      return Push(tree_, {Branching::Test::kEqual, level.line.segments[a].first, below, above});
    }
    return Push(tree_, {Branching::Test::kAtLeast, first, above, below});
  }

  uint64_t node_;
  Branching& tree_;
  std::vector<Level> levels_;
};

// The part of a line from segment a to b, moved nowhere: it starts at 0 all the same, as what lies
// before it is known not to come.
Line Part(const Line& line, size_t a, size_t b) {
  Line part;
  const auto begin = line.segments.begin();
  part.segments.assign(begin + static_cast<std::ptrdiff_t>(a),
                       begin + static_cast<std::ptrdiff_t>(b) + 1);
  part.last = b + 1 < line.segments.size() ? line.segments[b + 1].first - 1 : line.last;
  return part;
}

// Where the weight on both sides is most alike.
size_t Middle(const Line& line) {
  uint64_t total = 0;
  for (const Segment& segment : line.segments) total += segment.weight;
  uint64_t below = 0;
  size_t cut = 0;
  while (cut + 1 < line.segments.size() && below + line.segments[cut].weight / 2 < total / 2) {
    below += line.segments[cut++].weight;
  }
  // A quarter of the segments at least on each side bounds the depth.
  const size_t quarter = line.segments.size() / 4;
  return std::clamp(cut, quarter, line.segments.size() - quarter);
}

Target Write(const Line& line, uint64_t node_cost, Branching& tree) {
  if (line.segments.size() == 1) return {true, line.segments[0].outcome};
  if (line.segments.size() <= kMostSearched) return Search(line, node_cost, tree).Write();
  const size_t cut = Middle(line);
  const Target yes = Write(Part(line, cut, line.segments.size() - 1), node_cost, tree);
  const Target no = Write(Part(line, 0, cut - 1), node_cost, tree);
  return Push(tree, {Branching::Test::kAtLeast, line.segments[cut].first, yes, no});
}

}  // namespace

void Line::Start(const Segment& segment) {
  if (!segments.empty() && segments.back().first == segment.first) segments.pop_back();
  if (!segments.empty() && segments.back().outcome == segment.outcome) {
    segments.back().weight += segment.weight;
  } else {
    segments.push_back(segment);
  }
}

uint32_t Line::Span(size_t index) const {
  const uint32_t end = index + 1 < segments.size() ? segments[index + 1].first - 1 : last;
  return end - segments[index].first;
}

Branching PlanTree(const Line& line, const TreeCosts& costs) {
  Line weighed = line;
  for (Segment& segment : weighed.segments) segment.weight += costs.base;
  Branching tree;
  tree.root = Write(weighed, costs.node, tree);
  return tree;
}

bool Holds(const Branching::Node& node, uint32_t value) {
  switch (node.test) {
    case Branching::Test::kEqual:
      return value == node.k;
    case Branching::Test::kAtLeast:
      return value >= node.k;
    case Branching::Test::kAnyBit:
      return (value & node.k) != 0;
  }
  return false;
}

size_t Depth(const Branching& tree) {
  std::vector<size_t> depth;
  const auto of = [&](const Target& target) { return target.leaf ? 0 : depth[target.index]; };
  for (const Node& node : tree.nodes) depth.push_back(1 + std::max(of(node.yes), of(node.no)));
  return of(tree.root);
}

}  // namespace bulkhead
