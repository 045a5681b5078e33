// SPDX-License-Identifier: Apache-2.0
#include "compiler/bdd.h"

#include <algorithm>
#include <utility>

namespace bulkhead {
namespace {

constexpr uint32_t kLeaf = UINT32_MAX;  // after all variables
constexpr Bdd::Node kUnknown = UINT32_MAX;

// Not 0: no two nodes are both kNothing, and no choice has two equal sides.
uint64_t PairKey(Bdd::Node left, Bdd::Node right) { return (uint64_t{left} << 32) | right; }

uint64_t ChoiceKey(uint32_t variable, Bdd::Node low, Bdd::Node high) {
  return (uint64_t{variable} << 52) | (uint64_t{low} << 26) | high;
}

}  // namespace

size_t NodeTable::Place(uint64_t key) const {
  uint64_t hash = key * 0x9e3779b97f4a7c15U;
  hash = (hash ^ (hash >> 32)) * 0xbf58476d1ce4e5b9U;
  hash ^= hash >> 32;
  size_t place = hash & (slots_.size() - 1);
  while (slots_[place].key != 0 && slots_[place].key != key) {
    place = (place + 1) & (slots_.size() - 1);
  }
  return place;
}

const uint32_t* NodeTable::Find(uint64_t key) const {
  const Slot& slot = slots_[Place(key)];
  return slot.key == key ? &slot.node : nullptr;
}

void NodeTable::Insert(uint64_t key, uint32_t node) {
  if (2 * (used_ + 1) > slots_.size()) Grow();
  slots_[Place(key)] = {key, node};
  ++used_;
}

void NodeTable::Grow() {
  const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
  for (const Slot& slot : before) {
    if (slot.key != 0) slots_[Place(slot.key)] = slot;
  }
}

Bdd::Bdd(size_t max_nodes)
    : max_nodes_(std::min(max_nodes, kMostNodes)),
      nodes_{{kLeaf, kNothing, kNothing}, {kLeaf, kAll, kAll}},
      not_{kAll, kNothing} {}

Bdd::Node Bdd::Choose(uint32_t variable, Node low, Node high) {
  if (low == high) return low;
  const uint64_t key = ChoiceKey(variable, low, high);
  if (const Node* known = unique_.Find(key)) return *known;
  if (nodes_.size() >= max_nodes_) {
    exhausted_ = true;
    return kNothing;
  }
  const auto node = static_cast<Node>(nodes_.size());
  nodes_.push_back({variable, low, high});
  not_.push_back(kUnknown);
  unique_.Insert(key, node);
  return node;
}

// The recursion of Not and And is as deep as there are variables.
Bdd::Node Bdd::Not(Node set) {
  if (not_[set] != kUnknown) return not_[set];
  if (exhausted_) return kNothing;
  const Data data = nodes_[set];
  const Node low = Not(data.low);
  const Node result = Choose(data.variable, low, Not(data.high));
  if (exhausted_) return kNothing;
  not_[set] = result;
  not_[result] = set;
  return result;
}

Bdd::Node Bdd::And(Node left, Node right) {
  if (left == right || right == kAll) return left;
  if (left == kAll) return right;
  if (left == kNothing || right == kNothing || exhausted_) return kNothing;
  if (left > right) std::swap(left, right);
  const uint64_t key = PairKey(left, right);
  if (const Node* known = and_.Find(key)) return *known;
  const Data a = nodes_[left];
  const Data b = nodes_[right];
  const uint32_t variable = std::min(a.variable, b.variable);
  const bool split_a = a.variable == variable;
  const bool split_b = b.variable == variable;
  const Node low = And(split_a ? a.low : left, split_b ? b.low : right);
  const Node high = And(split_a ? a.high : left, split_b ? b.high : right);
  const Node result = Choose(variable, low, high);
  and_.Insert(key, result);
  return result;
}

std::vector<uint32_t> Bdd::AnyMember(Node set) const {
  std::vector<uint32_t> ones;
  while (set != kAll) {
    const Data& data = nodes_[set];
    // In a reduced diagram only kNothing is empty.
    const bool one = data.low == kNothing;
    if (one) ones.push_back(data.variable);
    set = one ? data.high : data.low;
  }
  return ones;
}

}  // namespace bulkhead
