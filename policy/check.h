// SPDX-License-Identifier: Apache-2.0
// What must hold between the parts of a policy: references, edges with two sides, order, groups.
// Pure but for the diagnostics.
#pragma once

#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

// `complete`: nothing of the policy was refused before. Otherwise a missing other side of an edge
// may be what was refused, and is not reported.
void CheckPolicy(const Policy& policy, bool complete, Diagnostics& diagnostics);

// The path sets that the policy names must be the target's.
void CheckPathSets(const Policy& policy, const TargetSpec& target, Diagnostics& diagnostics);

}  // namespace bulkhead
