// SPDX-License-Identifier: Apache-2.0
#include "compiler/arg_tree.h"

#include <algorithm>
#include <map>
#include <utility>

#include "compiler/arg_residue.h"

namespace bulkhead {
namespace {

// Decisions may take so many times the comparisons that conditions one by one take, and some more.
constexpr size_t kMostTimes = 2;
constexpr size_t kMostBesides = 8;

// What a stretch of values that is never asked for counts, as a part of all calls.
constexpr uint64_t kBase = kMixTotal >> 20;

// What conditions one by one take.
size_t ChainLength(const CallRule& rule) {
  size_t length = 0;
  for (const auto* list : {&rule.allow, &rule.deny}) {
    for (const Conjunction& conjunction : *list) {
      for (const Condition& condition : conjunction) {
        length += (condition.op == Condition::Op::kRange ? 2U : 1U) * condition.bits / 32 + 1;
      }
    }
  }
  return length;
}

uint32_t WordOf(const MixedCall& call, const Held& held) {
  const uint64_t arg = call.args.at((held.word - OffsetArgLow(0)) / 8);
  const bool high = held.word == OffsetArgHigh((held.word - OffsetArgLow(0)) / 8);
  return static_cast<uint32_t>(high ? arg >> 32 : arg) & held.mask;
}

class Planner {
 public:
  Planner(size_t budget, uint64_t node_cost) : left_(budget), node_cost_(node_cost) {}

  // kRefuse, kAllow, or the node; nothing when the budget is exceeded. Each step decides a word,
  // so that recursion goes no deeper than there are words and masks, within the budget.
  std::optional<uint32_t> Plan(const Residue& residue, const CallMix& calls) {
    if (const auto decided = Decided(residue)) return *decided ? ArgTree::kAllow : ArgTree::kRefuse;
    if (const auto known = planned_.find(residue); known != planned_.end()) return known->second;
    ArgTree::Node node;
    node.held = NextWord(residue);
    const std::vector<uint32_t> cuts = Cuts(residue, node.held);
    if (left_ < cuts.size()) return std::nullopt;
    left_ -= cuts.size();
    node.line.last = node.held.mask;
    for (size_t i = 0; i < cuts.size(); ++i) {
      const uint32_t last = i + 1 < cuts.size() ? cuts[i + 1] - 1 : node.held.mask;
      if (!AddSegment(node, residue, calls, cuts[i], last)) return std::nullopt;
    }
    if (node.line.segments.size() == 1) {
      return planned_[residue] = node.line.segments[0].outcome;
    }
    FinishNode(node);
    tree_.nodes.push_back(std::move(node));
    const auto index = static_cast<uint32_t>(ArgTree::kFirstNode + tree_.nodes.size() - 1);
    return planned_[residue] = index;
  }

  ArgTree Take(uint32_t root) {
    tree_.root = root;
    return std::move(tree_);
  }

 private:
  bool AddSegment(ArgTree::Node& node, const Residue& residue, const CallMix& calls, uint32_t first,
                  uint32_t last) {
    CallMix within;
    uint64_t weight = 0;
    for (const MixedCall& call : calls) {
      const uint32_t value = WordOf(call, node.held);
      if (value < first || value > last) continue;
      within.push_back(call);
      weight += call.weight;
    }
    const auto outcome = Plan(Given(residue, node.held, first), within);
    if (outcome) node.line.Start({first, *outcome, weight});
    return outcome.has_value();
  }

  void FinishNode(ArgTree::Node& node) const {
    const auto& segments = node.line.segments;
    const uint32_t mask = node.held.mask;
    node.is_bit_test = mask != UINT32_MAX && segments.size() == 2 &&
                       (segments[1].first == 1 || (mask & (mask - 1)) == 0);
    if (node.is_bit_test) return;
    node.tree = PlanTree(node.line, {node_cost_, kBase});
  }

  size_t left_;
  uint64_t node_cost_;
  ArgTree tree_;
  std::map<Residue, uint32_t> planned_;
};

}  // namespace

std::optional<ArgTree> PlanArgTree(const CallRule& rule, const CallMix& calls, uint64_t node_cost) {
  // Every comparison of a tree is at one of its cuts, of which one stretch has two.
  Planner planner(2 * (kMostTimes * ChainLength(rule) + kMostBesides), node_cost);
  const auto root = planner.Plan(Simplified({rule.allow, rule.deny}), calls);
  if (!root) return std::nullopt;
  return planner.Take(*root);
}

}  // namespace bulkhead
