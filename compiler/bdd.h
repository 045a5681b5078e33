// SPDX-License-Identifier: Apache-2.0
// Reduced ordered binary decision diagrams: sets of bit vectors in canonical form, so that two sets
// are equal exactly when their nodes are. What the proof of a filter computes with. A Bdd owns its
// nodes for as long as it lives; one Bdd a proof; not thread-safe.
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

 private:
  struct Slot {
    uint64_t key = 0;
    uint32_t node = 0;
  };

  size_t Place(uint64_t key) const;
  void Grow();

  std::vector<Slot> slots_ = std::vector<Slot>(1024);  // a power of two
  size_t used_ = 0;
};

class Bdd {
 public:
  using Node = uint32_t;
  static constexpr Node kNothing = 0;
  static constexpr Node kAll = 1;
  static constexpr size_t kMostNodes = size_t{1} << 26;
  static constexpr uint32_t kMostVariables = 1U << 12;

  // Diagrams can grow exponentially: with more nodes than this, or than kMostNodes, it is
  // exhausted.
  explicit Bdd(size_t max_nodes);

  // The vectors of `low` where the variable is 0 and of `high` where it is 1. Both may depend on
  // later variables only. `variable` is less than kMostVariables.
  Node Choose(uint32_t variable, Node low, Node high);

  Node Not(Node set);
  Node And(Node left, Node right);
  Node Or(Node left, Node right) { return Not(And(Not(left), Not(right))); }

  // Once true, no result of this Bdd means anything.
  bool Exhausted() const { return exhausted_; }

  // The variables that are 1 in one member of the set, which must not be kNothing; all others are
  // 0.
  std::vector<uint32_t> AnyMember(Node set) const;

 private:
  struct Data {
    uint32_t variable;
    Node low;
    Node high;
  };

  size_t max_nodes_;
  bool exhausted_ = false;
  std::vector<Data> nodes_;
  std::vector<Node> not_;  // by node; kUnknown where not computed yet
  NodeTable unique_;
  NodeTable and_;
};

}  // namespace bulkhead
