// SPDX-License-Identifier: Apache-2.0
// Questions about processes and capabilities, and single system calls. A component is the second
// process of its PID namespace; were it to share one, others would have numbers near its own.
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tests/e2e/asker/asker.h"

namespace bulkhead::asker {
namespace {

constexpr long kSelf = 2;
constexpr long kInit = 1;
constexpr long kLastPeer = 40;

// A process that is nowhere: whoever is refused to it is refused by the filter.
constexpr long kNobody = 4000000;

// Signals that do nothing unless somebody asked for them.
constexpr int kHarmless[] = {0, SIGCHLD, SIGURG, SIGWINCH, SIGCONT};

long SignalBy(int way, long pid, int signal) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  switch (way) {
    case 0:
      return Call(SYS_kill, pid, signal);
    case 1:
      return Call(SYS_tgkill, pid, pid, signal);
    case 2:
      return Call(SYS_tkill, pid, signal);
    case 3:
      return Call(SYS_rt_sigqueueinfo, pid, signal, Address(&info));
    case 4:
      return Call(SYS_rt_tgsigqueueinfo, pid, pid, signal, Address(&info));
    default:
      break;
  }
  // A program needs no descriptor of itself; without one of others their signals are out of reach.
  constexpr long kPidfdSelf = -10000;
  const long fd = Call(SYS_pidfd_open, pid, 0);
  if (fd < 0 && pid != kSelf && pid != kNobody) return fd;
  const long by = fd >= 0 ? fd : pid == kSelf ? kPidfdSelf : -1;
  const long answer = Call(SYS_pidfd_send_signal, by, signal, 0, 0);
  if (fd >= 0) Call(SYS_close, fd);
  return answer;
}

using On = long (*)(long pid, int way, int value);

// What a form of the call comes to on the first of the processes with which it passes.
void OnPids(On on, int way, int value, bool self, Tries& tries) {
  const long probed = on(kNobody, way, value);
  if (MayBeFiltered(probed)) {
    tries.Note(probed);
    return;
  }
  if (self) {
    tries.Note(on(kSelf, way, value));
    return;
  }
  tries.Note(on(kInit, way, value));
  for (long pid = kSelf + 1; pid <= kLastPeer && !tries.passed(); ++pid) {
    tries.Note(on(pid, way, value));
  }
}

void Signal(bool self, Tries& tries) {
  for (int way = 0; way < 6; ++way) {
    for (const int signal : kHarmless) {
      OnPids([](long pid, int by, int value) { return SignalBy(by, pid, value); }, way, signal,
             self, tries);
      if (tries.passed()) return;
      if (way > 1) break;
    }
  }
}

void Trace(bool self, Tries& tries) {
  for (const int request : {PTRACE_SEIZE, PTRACE_ATTACH}) {
    OnPids([](long pid, int by, int) { return Call(SYS_ptrace, by, pid); }, request, 0, self,
           tries);
  }
}

char memory_word[8] = "memory";

long MemoryBy(long pid, int way, int) {
  char taken[8] = {};
  const iovec local{taken, sizeof taken};
  const iovec remote{memory_word, sizeof memory_word};
  const long nr = way == 0 ? SYS_process_vm_readv : SYS_process_vm_writev;
  return Call(nr, pid, Address(&local), 1, Address(&remote), 1, 0);
}

void Memory(bool self, Tries& tries) {
  for (const int way : {0, 1}) OnPids(MemoryBy, way, 0, self, tries);
}

// What only this capability makes work; what has no try here is left to who looks from outside.
void Capability(const char* name, Tries& tries) {
  tries.Note(-EPERM);
  if (Is(name, "CAP_SYS_CHROOT")) tries.Note(Call(SYS_chroot, Address("/")));
  if (Is(name, "CAP_SETUID")) tries.Note(Call(SYS_setresuid, -1, 0, -1));
  if (Is(name, "CAP_SETGID")) tries.Note(Call(SYS_setresgid, -1, 0, -1));
  if (Is(name, "CAP_SYS_NICE")) tries.Note(Call(SYS_setpriority, 0, 0, -5));
  if (Is(name, "CAP_SYS_ADMIN")) tries.Note(Call(SYS_sethostname, Address("asked"), 5));
  if (Is(name, "CAP_KILL")) tries.Note(Call(SYS_kill, kInit, 0));
  if (Is(name, "CAP_SETPCAP")) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {{1, 1, 1}, {0, 0, 0}};
    tries.Note(Call(SYS_capset, Address(&header), Address(data)));
  }
}

}  // namespace

void AskProcess(const Words& words, Tries& tries) {
  const char* const verb = words.At(0);
  if (Is(verb, "signal")) Signal(Is(words.At(1), "self"), tries);
  if (Is(verb, "trace")) Trace(Is(words.At(1), "self"), tries);
  if (Is(verb, "memory")) Memory(Is(words.At(1), "self"), tries);
  if (Is(verb, "capability")) Capability(words.At(1), tries);
  if (Is(verb, "call")) {
    tries.Note(Call(words.Number(1), words.Number(2), words.Number(3), words.Number(4),
                    words.Number(5), words.Number(6), words.Number(7)));
  }
}

}  // namespace bulkhead::asker
