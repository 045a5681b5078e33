// SPDX-License-Identifier: Apache-2.0
// Everything that is shipped and comes to a filter, compiled for the architecture of this machine:
// each archetype alone and with each program's profile, each group of calls in a component that has
// nothing else, each component of the example, and components with the statements that own calls.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "compiler/calls.h"
#include "profiles/filter.h"

namespace bulkhead::testing {

struct ShippedFilter {
  std::vector<std::string> names;  // of all components that come to this filter
  CallPlan plan;
  Filter filter;  // as the bundle has it
};

// In the order of their first names, none twice. A failed test when something doesn't compile.
std::vector<ShippedFilter> ShippedFilters();

size_t CountProfiles(const std::vector<ShippedFilter>& filters);
size_t CountRules(const std::vector<ShippedFilter>& filters);  // conjunctions that allow or deny

}  // namespace bulkhead::testing
