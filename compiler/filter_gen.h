// SPDX-License-Identifier: Apache-2.0
// Turns the plan of a component's system calls into the BPF program that decides it: architecture,
// x32, a balanced tree over ranges of numbers, then the argument conditions of one call. The same
// plan gives the same program. Pure, thread-safe.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "compiler/calls.h"
#include "profiles/filter.h"

namespace bulkhead {

// A program without FilterDefect that answers as ReferenceAction does. Errors: the plan is not one
// (rules unsorted, a condition on bits that its argument lacks), or it needs over 4096
// instructions.
tl::expected<Filter, std::string> GenerateFilter(const CallPlan& plan);

}  // namespace bulkhead
