// SPDX-License-Identifier: Apache-2.0
// Turns the plan of a component's system calls into the BPF program that decides it: architecture,
// a tree of comparisons over the numbers, then a tree over the values of one call's arguments.
// Trees are shaped by how often calls are made; the answers are not. The same plan, mix and
// weighing give the same program.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "compiler/arg_tree.h"
#include "compiler/call_mix.h"
#include "compiler/call_ranges.h"
#include "compiler/calls.h"
#include "profiles/filter.h"

namespace bulkhead {

// Generates one filter after the other for one mix of calls, whose numbers are those of the plans'
// architecture; trees that they have in common are computed once. Not thread-safe.
class FilterGenerator {
 public:
  FilterGenerator(CallMix mix, Weighing weighing) : mix_(std::move(mix)), weighing_(weighing) {}

  // A program without FilterDefect that answers as ReferenceAction does. Errors: the plan is not
  // one (rules unsorted, a condition on bits that its argument lacks), or it needs over 4096
  // instructions.
  tl::expected<Filter, std::string> Generate(const CallPlan& plan);

 private:
  class Program;
  const Branching& NumberTree(const NumberLine& numbers);
  const ArgTree* ArgumentTree(const CallRule& rule);  // null: there is none

  CallMix mix_;
  Weighing weighing_;
  std::map<NumberLine, Branching> number_trees_;
  std::map<CallRule, std::optional<ArgTree>> argument_trees_;
};

// One filter, for the built-in mix and a kernel of Linux 5.11 or newer. Thread-safe.
tl::expected<Filter, std::string> GenerateFilter(const CallPlan& plan);

}  // namespace bulkhead
