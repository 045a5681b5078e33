// SPDX-License-Identifier: Apache-2.0
// Closing what a process inherited, between clone and exec: nothing is allocated. Internal to
// sandbox/.
#pragma once

#include "sandbox/kernel.h"

namespace bulkhead {

// Closes every descriptor from `first` on: 0 or minus an errno. By close_range(2) (Linux 5.9) if
// the target has it; else one by one as /proc/self/fd lists them, which misses none, whatever
// limits there were when they were opened. /proc is then that of the caller's own PID namespace.
long CloseFrom(Kernel& kernel, int first, bool close_range);

}  // namespace bulkhead
