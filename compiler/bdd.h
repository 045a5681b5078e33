// SPDX-License-Identifier: Apache-2.0
// Reduced ordered binary decision diagrams with complemented edges: sets of bit vectors in
// canonical form, so that two sets are equal exactly when their nodes are. What the proof of a
// filter computes with. A Bdd owns its nodes until Begin; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bulkhead {

// From 64-bit keys to nodes: open addressing, at most half full. The key 0 is not used.
class NodeTable {
 public:
  const uint32_t* Find(uint64_t key) const;
  void Insert(uint64_t key, uint32_t node);  // a key that is not there
  void Clear();
  size_t size() const { return used_; }

 private:
  struct Slot {
    uint64_t key = 0;
    uint32_t node = 0;
  };
  static constexpr unsigned kFewestBits = 10;

  size_t Place(uint64_t key) const;
  void Grow();

  unsigned bits_ = kFewestBits;
  std::vector<Slot> slots_ = std::vector<Slot>(size_t{1} << kFewestBits);  // 1 << bits_
  size_t used_ = 0;
};

class Bdd {
 public:
  // The index of a diagram, and in the lowest bit whether the set is its complement.
  using Node = uint32_t;
  static constexpr Node kNothing = 0;
  static constexpr Node kAll = 1;
  static constexpr size_t kMostNodes = size_t{1} << 25;
  static constexpr uint32_t kMostVariables = 1U << 12;

  // Diagrams can grow exponentially: with this many new nodes since Begin, at most half of
  // kMostNodes, or twice as many new intersections, it is exhausted.
  explicit Bdd(size_t max_nodes);

  // A computation starts: it may take the full number of new nodes. Nodes of earlier ones are
  // forgotten when there are more than `kept` or twice as many intersections, or it was exhausted.
  void Begin(size_t kept);

  // The vectors of `low` where the variable is 0 and of `high` where it is 1. Both may depend on
  // later variables only. `variable` is less than kMostVariables.
  Node Choose(uint32_t variable, Node low, Node high);

  static Node Not(Node set) { return set ^ 1U; }
  Node And(Node left, Node right);
  Node Or(Node left, Node right) { return Not(And(Not(left), Not(right))); }

  // Once true, no result means anything until Begin.
  bool Exhausted() const { return exhausted_; }

  // The variables that are 1 in one member of the set, which must not be kNothing; all others are
  // 0.
  std::vector<uint32_t> AnyMember(Node set) const;

 private:
  struct Data {
    uint32_t variable;
    Node low;  // never a complement: of a set and its complement one has a node
    Node high;
  };

  Data At(Node set) const;

  size_t max_nodes_;
  size_t node_limit_;
  size_t and_limit_;
  bool exhausted_ = false;
  std::vector<Data> nodes_;
  NodeTable unique_;
  NodeTable and_;
};

}  // namespace bulkhead
