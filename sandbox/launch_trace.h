// SPDX-License-Identifier: Apache-2.0
// How the launch's own exec passes a filter on a kernel without seccomp listeners (before Linux
// 5.0): the filter asks a tracer about it (SECCOMP_RET_TRACE), the reaper is that tracer for this
// one call, lets it pass and stops tracing. From then on the kernel finds no tracer and answers
// ENOSYS, and nobody can become one: ptrace(2) is in no component's filter. Safe since Linux 4.8,
// which looks at the filter after the tracer. Sources: seccomp(2), ptrace(2), kernel/seccomp.c.
// Internal to sandbox/. Nothing here allocates.
//
// Order: the component calls StopForTracer before its first step; the reaper TraceUntilExec, which
// returns when the component stands at its exec, then LetGo. The reaper's own death ends the
// component (PTRACE_O_EXITKILL, Linux 3.8).
#pragma once

#include "sandbox/kernel.h"
#include "sandbox/step.h"

namespace bulkhead {

// In the component's process, a child of the reaper: 0 or minus an errno. Returns when the reaper
// has gone on.
long StopForTracer(Kernel& kernel);

enum class Traced : uint8_t {
  kAtExec,  // the component stands at the call that its filter asks about
  kEnded,   // it has ended before; it has been reaped, and `status` is its wait status
  kFailed,  // `failure` says why
};

// In the reaper. Signals that come meanwhile are passed on.
Traced TraceUntilExec(Kernel& kernel, long component, int& status, Failure& failure);

// The component's call goes on, and its tracer is gone: 0 or minus an errno. One that has been
// killed meanwhile needs nothing.
long LetGo(Kernel& kernel, long component);

}  // namespace bulkhead
