// SPDX-License-Identifier: Apache-2.0
// Calls executed by the running kernel under a filter as the bundle has it, with the supervisor's
// own listener behind it. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "profiles/filter.h"
#include "tests/compiler/kernel_calls.h"
#include "tests/compiler/kernel_cell.h"

namespace bulkhead::testing {

struct Outcome {
  std::optional<long> result;      // of MakeCall; nothing when the call never came back
  std::vector<SeccompData> heard;  // what the listener was told meanwhile
};

struct Execution {
  std::vector<Outcome> outcomes;  // one a call
  int end = 0;                    // of the child: exit code, or minus the signal
};

// Makes the calls one after the other in a child of its own, which then exits with 0. Refused calls
// are answered as the supervisor does: EPERM, or ENOSYS for those in `absent`. A result that is a
// descriptor is closed. Without a filter: what the kernel does by itself. SIGALRM comes every
// millisecond when `alarms` is set, and rt_sigreturn is then the return from its handler.
// std::runtime_error when the child can't be started, or doesn't end.
Execution Execute(const KernelCell& cell, const Filter* filter, const std::vector<uint32_t>& absent,
                  const std::vector<KernelCall>& calls, bool alarms = false);

}  // namespace bulkhead::testing
