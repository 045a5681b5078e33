// SPDX-License-Identifier: Apache-2.0
// For each rule of a plan: a form of the call that the rule allows and that does nothing when it is
// executed (closed descriptors, addresses where nothing is, empty sizes, processes that don't
// exist, signal 0), what the kernel may not see a difference to, and what must be refused. Pure.
#pragma once

#include <optional>
#include <vector>

#include "compiler/calls.h"
#include "profiles/filter.h"

namespace bulkhead::testing {

struct CallForm {
  SeccompData base;                  // allowed and harmless
  std::vector<SeccompData> alike;    // `base` with garbage in bits that the kernel doesn't read
  std::vector<SeccompData> refused;  // beside a condition of the rule, and refused by the plan
};

// One for each conjunction that allows, in the order of the rules. std::runtime_error, with the
// call, when none is found: the builder has to learn it.
std::vector<CallForm> FormsOf(const CallPlan& plan);

// A value for the register `arg` of which all conditions on it hold, `start` if it is one.
std::optional<uint64_t> Satisfying(const Conjunction& conjunction, unsigned arg, uint64_t start);

}  // namespace bulkhead::testing
