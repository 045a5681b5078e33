// SPDX-License-Identifier: Apache-2.0
// Builds the Landlock ruleset of a profile from inside its view, while still privileged (the view
// may hold directories the component can't open). Internal to sandbox/; does not allocate.
#pragma once

#include "profiles/profile.h"
#include "sandbox/kernel.h"
#include "sandbox/step.h"

namespace bulkhead {

// The ruleset's descriptor; -1 when the profile has no Landlock part (`failure.error` is 0) or a
// step failed.
int BuildRuleset(Kernel& kernel, const LandlockPlan& plan, Failure& failure);

}  // namespace bulkhead
