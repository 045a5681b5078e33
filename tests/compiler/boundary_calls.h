// SPDX-License-Identifier: Apache-2.0
// The boundary set of a filter and a plan: calls with every word at, beside and between all that
// either of them compares it with, in every combination that either can tell apart. Slow, obvious,
// and shares nothing with the proof. Equal on all of these is equal as far as can be tried.
#pragma once

#include <functional>

#include "compiler/calls.h"
#include "profiles/filter.h"

namespace bulkhead::testing {

// Until `visit` answers false.
void ForBoundaryCalls(const CallPlan& plan, const Filter& filter,
                      const std::function<bool(const SeccompData&)>& visit);

}  // namespace bulkhead::testing
