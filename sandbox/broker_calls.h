// SPDX-License-Identifier: Apache-2.0
// What a confined worker does: takes requests from descriptor 0 until the supervisor closes its
// end. Internal to sandbox/; allocates nothing.
#pragma once

#include "sandbox/broker_worker.h"

namespace bulkhead {

// Ends the process.
[[noreturn]] void ServeBroker(Kernel& kernel, const BrokerPlan& plan, WorkerPage& page);

}  // namespace bulkhead
