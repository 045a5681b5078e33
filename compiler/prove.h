// SPDX-License-Identifier: Apache-2.0
// Proof that a filter answers every call as its plan says. All paths of the program are followed at
// once, each with the exact set of calls that take it: classic BPF has no loops, and sets are exact
// on every bit of seccomp_data, for any program without a defect. Shares no code with the generator
// or the reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "compiler/call_sets.h"
#include "compiler/calls.h"
#include "profiles/filter.h"

namespace bulkhead {

struct Disproof {
  std::string reason;
  // A call on which they differ, and both answers. Both are 0 when there is no such call: the
  // filter has a defect, or the proof takes more memory or steps than it may, which does not count
  // as proved.
  SeccompData data;
  uint32_t expected = 0;  // the plan's
  uint32_t returned = 0;  // the filter's
};

// Proofs one after the other: what they have in common is computed once. A proof may take a million
// nodes and a million steps of its own, whatever was proved before. Not thread-safe.
class Prover {
 public:
  Prover();

  // nullopt: for every seccomp_data, Evaluate(filter) is ReferenceAction(plan). `paths`, when
  // given, receives how many paths the proof covers, without those whose single steps no call can
  // take; it saturates.
  std::optional<Disproof> Prove(const CallPlan& plan, const Filter& filter,
                                size_t* paths = nullptr);

 private:
  CallSets sets_;
};

// One proof. Thread-safe.
std::optional<Disproof> Prove(const CallPlan& plan, const Filter& filter, size_t* paths = nullptr);

}  // namespace bulkhead
