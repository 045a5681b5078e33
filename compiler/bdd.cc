// SPDX-License-Identifier: Apache-2.0
#include "compiler/bdd.h"

#include <algorithm>
#include <utility>

namespace bulkhead {
namespace {

constexpr uint32_t kLeaf = UINT32_MAX;  // after all variables

// Not 0: no two nodes are both kNothing, and no choice has two equal sides.
uint64_t PairKey(Bdd::Node left, Bdd::Node right) { return (uint64_t{left} << 32) | right; }

uint64_t ChoiceKey(uint32_t variable, Bdd::Node low, Bdd::Node high) {
  return (uint64_t{variable} << 52) | (uint64_t{low >> 1} << 26) | high;
}

}  // namespace

size_t NodeTable::Place(uint64_t key) const {
  const uint64_t hash = (key ^ (key >> 29)) * 0x9e3779b97f4a7c15U;
  size_t place = hash >> (64 - bits_);
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
  ++bits_;
  const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(size_t{1} << bits_));
  for (const Slot& slot : before) {
    if (slot.key != 0) slots_[Place(slot.key)] = slot;
  }
}

void NodeTable::Clear() { *this = {}; }

Bdd::Bdd(size_t max_nodes)
    : max_nodes_(std::min(max_nodes, kMostNodes / 2)), nodes_{{kLeaf, kNothing, kNothing}} {
  Begin(0);
}

void Bdd::Begin(size_t kept) {
  kept = std::min(kept, kMostNodes / 2);
  if (exhausted_ || nodes_.size() > kept + 1 || and_.size() > 2 * kept) {
    nodes_.resize(1);
    unique_.Clear();
    and_.Clear();
  }
  exhausted_ = false;
  node_limit_ = nodes_.size() + max_nodes_;
  and_limit_ = and_.size() + 2 * max_nodes_;
}

Bdd::Node Bdd::Choose(uint32_t variable, Node low, Node high) {
  if (low == high) return low;
  const Node complement = low & 1U;
  low ^= complement;
  high ^= complement;
  const uint64_t key = ChoiceKey(variable, low, high);
  if (const Node* known = unique_.Find(key)) return *known ^ complement;
  if (nodes_.size() >= node_limit_) {
    exhausted_ = true;
    return kNothing;
  }
  const auto node = static_cast<Node>(nodes_.size() << 1);
  nodes_.push_back({variable, low, high});
  unique_.Insert(key, node);
  return node ^ complement;
}

Bdd::Data Bdd::At(Node set) const {
  const Data& data = nodes_[set >> 1];
  return {data.variable, data.low ^ (set & 1U), data.high ^ (set & 1U)};
}

// The recursion is as deep as there are variables.
Bdd::Node Bdd::And(Node left, Node right) {
  if (left == right || right == kAll) return left;
  if (left == kAll) return right;
  if (left == kNothing || right == kNothing || left == Not(right) || exhausted_) return kNothing;
  if (left > right) std::swap(left, right);
  const uint64_t key = PairKey(left, right);
  if (const Node* known = and_.Find(key)) return *known;
  const Data a = At(left);
  const Data b = At(right);
  const uint32_t variable = std::min(a.variable, b.variable);
  const bool split_a = a.variable == variable;
  const bool split_b = b.variable == variable;
  const Node low = And(split_a ? a.low : left, split_b ? b.low : right);
  const Node high = And(split_a ? a.high : left, split_b ? b.high : right);
  const Node result = Choose(variable, low, high);
  if (and_.size() >= and_limit_) exhausted_ = true;
  if (!exhausted_) and_.Insert(key, result);
  return result;
}

std::vector<uint32_t> Bdd::AnyMember(Node set) const {
  std::vector<uint32_t> ones;
  while (set != kAll) {
    const Data data = At(set);
    // In a reduced diagram only kNothing is empty.
    const bool one = data.low == kNothing;
    if (one) ones.push_back(data.variable);
    set = one ? data.high : data.low;
  }
  return ones;
}

}  // namespace bulkhead
