// SPDX-License-Identifier: Apache-2.0
#include "compiler/filter_gen.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "compiler/arg_chain.h"
#include "compiler/filter_writer.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// Where the kernel answers most calls without the filter, so much less is the sum of those that
// count.
constexpr uint64_t kUncachedPart = 64;

bool FitsWidth(const Condition& condition) {
  if (condition.arg > 5) return false;
  if (condition.bits != 16 && condition.bits != 32 && condition.bits != 64) return false;
  const uint64_t above = condition.bits == 64 ? 0 : ~uint64_t{0} << condition.bits;
  return ((condition.mask | condition.value | condition.from | condition.to) & above) == 0;
}

std::optional<std::string> PlanDefect(const CallPlan& plan) {
  const auto unsorted = [](const CallRule& a, const CallRule& b) { return a.nr >= b.nr; };
  if (std::ranges::adjacent_find(plan.rules, unsorted) != plan.rules.end()) {
    return "the rules are not sorted by number, one a call";
  }
  if (std::ranges::adjacent_find(plan.absent, std::greater_equal<>()) != plan.absent.end()) {
    return "the absent calls are not sorted, each once";
  }
  if (std::ranges::adjacent_find(plan.skipped, std::greater_equal<>()) != plan.skipped.end()) {
    return "the skipped calls are not sorted, each once";
  }
  const auto is_absent = [&](uint32_t nr) { return std::ranges::binary_search(plan.absent, nr); };
  if (std::ranges::any_of(plan.skipped, is_absent)) return "a call is both absent and skipped";
  if (plan.traced &&
      (is_absent(*plan.traced) || std::ranges::binary_search(plan.skipped, *plan.traced))) {
    return "the traced call is absent or skipped";
  }
  for (const CallRule& rule : plan.rules) {
    for (const auto* list : {&rule.allow, &rule.deny}) {
      for (const Conjunction& conjunction : *list) {
        if (!std::ranges::all_of(conjunction, FitsWidth)) {
          return fmt::format("a condition of call {} is wider than its argument", rule.nr);
        }
      }
    }
  }
  return std::nullopt;
}

uint16_t OpcodeOf(Branching::Test test) {
  switch (test) {
    case Branching::Test::kEqual:
      return kJumpEqual;
    case Branching::Test::kAtLeast:
      return kJumpGreaterEqual;
    case Branching::Test::kAnyBit:
      return kJumpSet;
  }
  return kJumpEqual;
}

// The calls of the rules that take most, for people.
std::string Longest(const CallPlan& plan, std::vector<std::pair<size_t, uint32_t>> sizes) {
  constexpr size_t kNamed = 3;
  std::ranges::sort(sizes, std::greater<>());
  sizes.resize(std::min(sizes.size(), kNamed));
  std::string text;
  for (const auto& [size, nr] : sizes) {
    const std::string_view name = SyscallName(plan.arch, nr);
    text += fmt::format("{}`{}` {}", text.empty() ? "" : ", ",
                        name.empty() ? std::to_string(nr) : std::string(name), size);
  }
  return text;
}

}  // namespace

// One program.
class FilterGenerator::Program {
 public:
  Program(FilterGenerator& generator, const CallPlan& plan, bool chains_only)
      : generator_(generator), plan_(plan), chains_only_(chains_only), ranges_(RangesOf(plan)) {
    WeighRanges(ranges_, generator.mix_, generator.weighing_);
  }

  Filter Write() {
    const Label kill = writer_.Return(kRetKillProcess);
    std::vector<Label> leaves;
    for (const Outcome& outcome : ranges_.outcomes) {
      leaves.push_back(Leaf(outcome));
      ranges_.numbers.heights.push_back(writer_.LongestFrom(leaves.back()));
    }
    const Label tree = WriteTree(generator_.NumberTree(ranges_.numbers), leaves);
    Label start = writer_.Load({kOffsetNr, UINT32_MAX}, tree).cold;
    start = writer_.Branch(kJumpEqual, AuditArch(plan_.arch), start, kill);
    writer_.Load({kOffsetArch, UINT32_MAX}, start);
    return writer_.Finish();
  }

  // Comparisons that the conditions of a call take, and the first call that has them.
  const std::vector<std::pair<size_t, uint32_t>>& sizes() const { return sizes_; }

 private:
  Label WriteTree(const Branching& tree, const std::vector<Label>& leaves) {
    std::vector<Label> nodes;
    const auto of = [&](const Branching::Target& target) {
      return target.leaf ? leaves[target.index] : nodes[target.index];
    };
    for (const Branching::Node& node : tree.nodes) {
      nodes.push_back(writer_.Branch(OpcodeOf(node.test), node.k, of(node.yes), of(node.no)));
    }
    return of(tree.root);
  }

  Label Leaf(const Outcome& outcome) {
    if (outcome.rule == nullptr) return writer_.Return(outcome.action);
    const size_t before = writer_.branches();
    const CodeEntry refuse = CodeEntry::Cold(writer_.Return(outcome.action));
    const CodeEntry allow = CodeEntry::Cold(writer_.Return(kRetAllow));
    const ArgTree* tree = chains_only_ ? nullptr : generator_.ArgumentTree(*outcome.rule);
    const CodeEntry entry = tree != nullptr ? WriteArgTree(*tree, allow, refuse)
                                            : WriteArgChain(writer_, *outcome.rule, allow, refuse);
    sizes_.emplace_back(writer_.branches() - before, outcome.rule->nr);
    return entry.cold;
  }

  CodeEntry WriteArgTree(const ArgTree& tree, const CodeEntry& allow, const CodeEntry& refuse) {
    std::vector<CodeEntry> entries{refuse, allow};
    for (const ArgTree::Node& node : tree.nodes) {
      std::vector<Label> leaves;
      leaves.reserve(entries.size());
      const Held held = node.is_bit_test ? Held{node.held.word, UINT32_MAX} : node.held;
      for (const CodeEntry& entry : entries) leaves.push_back(entry.For(held));
      entries.push_back(WriteArgNode(node, held, leaves));
    }
    return entries[tree.root];
  }

  // Equal tests that go on at the same places are one.
  CodeEntry WriteArgNode(const ArgTree::Node& node, const Held& held,
                         const std::vector<Label>& leaves) {
    std::vector<std::pair<uint32_t, Label>> line;
    for (const Segment& segment : node.line.segments) {
      line.emplace_back(segment.first, leaves[segment.outcome]);
    }
    const auto [known, is_new] =
        written_.try_emplace({node.held.word, node.held.mask, std::move(line)});
    if (!is_new) return known->second;
    const auto& segments = node.line.segments;
    const Label start = node.is_bit_test
                            ? writer_.Branch(kJumpSet, node.held.mask, leaves[segments[1].outcome],
                                             leaves[segments[0].outcome])
                            : WriteTree(node.tree, leaves);
    return known->second = writer_.Load(held, start);
  }

  FilterGenerator& generator_;
  const CallPlan& plan_;
  bool chains_only_;
  CallRanges ranges_;
  FilterWriter writer_;
  std::map<std::tuple<uint32_t, uint32_t, std::vector<std::pair<uint32_t, Label>>>, CodeEntry>
      written_;
  std::vector<std::pair<size_t, uint32_t>> sizes_;
};

const Branching& FilterGenerator::NumberTree(const NumberLine& numbers) {
  const auto [known, is_new] = number_trees_.try_emplace(numbers);
  if (is_new) known->second = PlanNumberTree(numbers);
  return known->second;
}

const ArgTree* FilterGenerator::ArgumentTree(const CallRule& rule) {
  const auto [known, is_new] = argument_trees_.try_emplace(rule);
  if (is_new) {
    const auto begin = std::ranges::lower_bound(mix_, rule.nr, {}, &MixedCall::nr);
    const auto end = std::ranges::upper_bound(mix_, rule.nr, {}, &MixedCall::nr);
    const uint64_t cost = weighing_ == Weighing::kAll ? kNodeCost : kNodeCost / kUncachedPart;
    known->second = PlanArgTree(rule, CallMix(begin, end), cost);
  }
  return known->second ? &*known->second : nullptr;
}

tl::expected<Filter, std::string> FilterGenerator::Generate(const CallPlan& plan) {
  if (auto defect = PlanDefect(plan)) return tl::unexpected(*defect);
  Filter filter = Program(*this, plan, false).Write();
  if (filter.size() > kMaxFilterLength) {
    Program shorter(*this, plan, true);
    filter = shorter.Write();
    if (filter.size() > kMaxFilterLength) {
      return tl::unexpected(
          fmt::format("{} instructions are needed, the kernel takes {}; the most comparisons are "
                      "of the arguments of {}",
                      filter.size(), kMaxFilterLength, Longest(plan, shorter.sizes())));
    }
  }
  if (auto defect = FilterDefect(filter)) return tl::unexpected(*defect);
  return filter;
}

tl::expected<Filter, std::string> GenerateFilter(const CallPlan& plan) {
  return FilterGenerator(DefaultCallMix(plan.arch), Weighing::kUncached).Generate(plan);
}

}  // namespace bulkhead
