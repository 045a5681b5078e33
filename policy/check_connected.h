// SPDX-License-Identifier: Apache-2.0
// Channels of kind `connected`: the listener that they name, and that it is there in time. Reads
// the policy only. Not thread-safe (diagnostics).
#pragma once

#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

// The unix listener of `to` that the channel names, by name or by path; null: there is none.
const UnixListen* ListenerOf(const Policy& policy, const ChannelPolicy& channel);

// Reports what a channel says about connections and does not hold.
void CheckConnected(const Policy& policy, Diagnostics& diagnostics);

}  // namespace bulkhead
