// SPDX-License-Identifier: Apache-2.0
// The conditions of one call as decisions about words of its arguments: which stretches of a word's
// values come to the same, and what is left to ask in each. A set of many values becomes one
// decision, whatever conjunctions it is spread over. Internal to the generator. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/call_mix.h"
#include "compiler/calls.h"
#include "compiler/decision_tree.h"
#include "compiler/filter_writer.h"

namespace bulkhead {

struct ArgTree {
  static constexpr uint32_t kRefuse = 0;
  static constexpr uint32_t kAllow = 1;
  static constexpr uint32_t kFirstNode = 2;

  struct Node {
    Held held;       // the word that is looked at, cut to a mask
    Line line;       // its values; outcomes are kRefuse, kAllow, or kFirstNode and an earlier node
    Branching tree;  // the comparisons; unused where one test of bits does
    // Where the value is nothing but zero or not, or one bit: set or clear.
    bool is_bit_test = false;
  };
  std::vector<Node> nodes;
  uint32_t root = kRefuse;
};

// `calls` are those that the rule decides, for the weights; a comparison more in the program may
// save `node_cost` of them. nullopt: the decisions would be far more than the conditions, which are
// better tested one after the other.
std::optional<ArgTree> PlanArgTree(const CallRule& rule, const CallMix& calls, uint64_t node_cost);

}  // namespace bulkhead
