// SPDX-License-Identifier: Apache-2.0
#include "sandbox/launch_trace.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

namespace bulkhead {
namespace {

constexpr int kAsksTracer = SIGTRAP | PTRACE_EVENT_SECCOMP << 8;

long Wait(Kernel& kernel, long component, int& status) {
  for (;;) {
    const long waited = kernel(SYS_wait4, component, &status, __WALL, nullptr);
    if (waited != -EINTR) return waited;
  }
}

}  // namespace

long StopForTracer(Kernel& kernel) {
  const long self = kernel(SYS_getpid);
  if (self < 0) return self;
  const long traced = kernel(SYS_ptrace, PTRACE_TRACEME, 0, nullptr, nullptr);
  return traced < 0 ? traced : kernel(SYS_kill, self, SIGSTOP);
}

Traced TraceUntilExec(Kernel& kernel, long component, int& status, Failure& failure) {
  // The first stop is StopForTracer's: everything else is blocked until then.
  long result = Wait(kernel, component, status);
  if (result >= 0 && WIFSTOPPED(status)) {
    result = kernel(SYS_ptrace, PTRACE_SETOPTIONS, component, nullptr,
                    PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
    status = 0x7f;  // stopped by no signal: none is passed on
  }
  while (result >= 0) {
    if (!WIFSTOPPED(status)) return Traced::kEnded;
    if (status >> 8 == kAsksTracer) return Traced::kAtExec;
    result = kernel(SYS_ptrace, PTRACE_CONT, component, nullptr, WSTOPSIG(status));
    // A process that is killed while it stands is no longer there to go on, but to be waited for.
    if (result >= 0 || result == -ESRCH) result = Wait(kernel, component, status);
  }
  failure = {Step::kTrace, 2, static_cast<int32_t>(-result)};
  return Traced::kFailed;
}

long LetGo(Kernel& kernel, long component) {
  const long detached = kernel(SYS_ptrace, PTRACE_DETACH, component, nullptr, nullptr);
  return detached == -ESRCH ? 0 : detached;
}

}  // namespace bulkhead
