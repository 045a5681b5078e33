// SPDX-License-Identifier: Apache-2.0
// Sets of calls as diagrams over the bits of their seccomp data, for the proof of a filter. Not
// thread-safe.
#pragma once

#include <cstdint>

#include "compiler/bdd.h"
#include "compiler/calls.h"
#include "compiler/ranges.h"
#include "profiles/filter.h"

namespace bulkhead {

// A value within the seccomp data, from the word at `offset` on; bits outside `live` read as 0.
struct Value {
  uint32_t offset = 0;
  uint64_t live = 0;
};

class CallSets {
 public:
  using Set = Bdd::Node;

  explicit CallSets(size_t max_nodes) : bdd_(max_nodes) {}

  Bdd& bdd() { return bdd_; }
  const Bdd& bdd() const { return bdd_; }

  // (value & mask) == wanted
  Set Masked(const Value& value, uint64_t mask, uint64_t wanted);
  // value >= limit, value > limit
  Set AtLeast(const Value& value, uint64_t limit);
  Set Above(const Value& value, uint64_t limit);
  // The calls whose word at `offset` is in the ranges.
  Set In(uint32_t offset, const Ranges& ranges);
  // Those on which the condition holds; its argument and width must be ones that calls have.
  Set Holds(const Condition& condition);
  // Those on which all conditions of one of the conjunctions hold.
  Set AnyHolds(const std::vector<Conjunction>& conjunctions);

  // The call whose data is 0 wherever the set, which must not be empty, leaves a choice.
  SeccompData AnyMember(Set set) const;

 private:
  Bdd bdd_;
};

}  // namespace bulkhead
