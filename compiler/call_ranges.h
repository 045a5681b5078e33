// SPDX-License-Identifier: Apache-2.0
// What each system call number comes to, as ranges of numbers with one outcome. Internal to the
// generator; refers to the plan it was made of. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/call_mix.h"
#include "compiler/calls.h"
#include "compiler/number_tree.h"

namespace bulkhead {

struct Outcome {
  uint32_t action = kRetKillProcess;  // without a rule; with one: when it does not allow
  const CallRule* rule = nullptr;     // conditions to test; another call's with equal ones

  bool IsConstantAllow() const { return rule == nullptr && action == kRetAllow; }
  bool operator==(const Outcome& other) const;
};

struct CallRanges {
  NumberLine numbers;  // all there are; a segment's outcome is an index of `outcomes`
  std::vector<Outcome> outcomes;
};

// Without points and weights.
CallRanges RangesOf(const CallPlan& plan);

// Weighs the ranges by the calls of the mix. A range that is always allowed counts little when
// calls are weighed for a kernel that answers it without the filter, unless there is nothing else.
void WeighRanges(CallRanges& ranges, const CallMix& mix, Weighing weighing);

}  // namespace bulkhead
