// SPDX-License-Identifier: Apache-2.0
// Sets of calls as unions of boxes: exact ranges of architectures and numbers, and a diagram for
// the rest of the data. What takes one way through a filter is few boxes, whatever the numbers are.
// Values; the diagrams are those of one CallSets.
#pragma once

#include <vector>

#include "compiler/call_sets.h"
#include "compiler/ranges.h"

namespace bulkhead {

// The calls of these architectures and these numbers whose arguments and instruction pointer are in
// `rest`; where it is mixed, those in `rest` alone, which then tells architectures and numbers too.
struct Box {
  Ranges archs;
  Ranges numbers;
  CallSets::Set rest = Bdd::kNothing;
  bool mixed = false;

  bool Empty() const {
    return rest == Bdd::kNothing || (!mixed && (archs.empty() || numbers.empty()));
  }
};

// The same calls, mixed.
Box Mixed(const Box& box, CallSets& sets);

// The same calls in few boxes: of those with equal architectures no two share a number or have the
// same `rest`, and at most one is mixed.
std::vector<Box> Gather(std::vector<Box> boxes, CallSets& sets);

}  // namespace bulkhead
