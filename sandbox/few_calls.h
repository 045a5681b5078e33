// SPDX-License-Identifier: Apache-2.0
// The filter of a process of the runtime's own that needs a handful of calls, whatever their
// arguments. Pure; allocates.
#pragma once

#include <span>

#include "profiles/filter.h"

namespace bulkhead {

// For the architecture this is built for: a call that is not one of `calls` kills the process, as
// does one of another architecture. At most 255 calls, which is what a jump reaches.
Filter AllowFewCalls(std::span<const long> calls);

}  // namespace bulkhead
