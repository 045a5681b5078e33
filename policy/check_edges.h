// SPDX-License-Identifier: Apache-2.0
// Unix edges and other listeners across components. Pure but for the diagnostics.
#pragma once

#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

// No two listeners may share a socket, a port, or a name within a component; no two edges a
// directory.
void CheckListeners(const Policy& policy, Diagnostics& diagnostics);

// Every unix edge must be stated on both sides.
void CheckEdges(const Policy& policy, Diagnostics& diagnostics);

}  // namespace bulkhead
