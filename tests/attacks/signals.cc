// SPDX-License-Identifier: Apache-2.0
// Rules on kill, and how a signal is sent without it.
#include <asm/sockios.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

constexpr int kPatience = 200;  // times 10 ms

// Whether a decoy of ours dies; nothing is known of processes of others, so of those it does.
Result Dies(pid_t pid) {
  for (int i = 0; i < kPatience; ++i) {
    int status = 0;
    const pid_t gone = waitpid(pid, &status, WNOHANG);
    if (gone < 0) return 0;
    if (gone == pid) return WIFSIGNALED(status) ? 0 : ECHILD;
    poll(nullptr, 0, 10);
  }
  return ETIMEDOUT;
}

Result Sent(long answer, pid_t pid) { return answer < 0 ? errno : Dies(pid); }

siginfo_t Info() {
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  return info;
}

Result Kills(Place& place) {
  return OnPeers(place, [](pid_t pid) { return Sent(kill(pid, SIGTERM), pid); });
}
Result KillsThread(Place& place) {
  return OnPeers(place,
                 [](pid_t pid) { return Sent(syscall(SYS_tgkill, pid, pid, SIGTERM), pid); });
}
Result KillsTask(Place& place) {
  return OnPeers(place, [](pid_t pid) { return Sent(syscall(SYS_tkill, pid, SIGTERM), pid); });
}
Result Queues(Place& place) {
  return OnPeers(place, [](pid_t pid) {
    siginfo_t info = Info();
    return Sent(syscall(SYS_rt_sigqueueinfo, pid, SIGTERM, &info), pid);
  });
}
Result QueuesToThread(Place& place) {
  return OnPeers(place, [](pid_t pid) {
    siginfo_t info = Info();
    return Sent(syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGTERM, &info), pid);
  });
}
Result KillsByPidfd(Place& place) {
  return OnPeers(place, [](pid_t pid) {
    const auto peer = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    return Sent(syscall(SYS_pidfd_send_signal, peer, SIGTERM, nullptr, 0), pid);
  });
}
Result KillsItself(Place& /*place*/) { return Answer(kill(getpid(), 0)); }

// --- signals-sigio -------------------------------------------------------------------------------

// The kernel tells `owner` that there is something to read, by a signal that ends who has no
// handler.
Result KernelKills(pid_t owner, long (*own)(int fd, pid_t owner)) {
  std::array<int, 2> ends{};
  Needed(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "a pair");
  const Result owned = Answer(own(ends[0], owner));
  Result result = owned;
  if (owned == 0) result = Answer(fcntl(ends[0], F_SETFL, O_ASYNC));
  if (result == 0) result = Answer(write(ends[1], "x", 1));
  close(ends[0]);
  close(ends[1]);
  return result == 0 ? Dies(owner) : result;
}

Result ByOwner(Place& place) {
  return OnOthers(place, [](pid_t pid) {
    return KernelKills(pid,
                       [](int fd, pid_t owner) { return syscall(SYS_fcntl, fd, F_SETOWN, owner); });
  });
}
Result ByExtendedOwner(Place& place) {
  return OnOthers(place, [](pid_t pid) {
    return KernelKills(pid, [](int fd, pid_t owner) {
      const f_owner_ex ex{F_OWNER_PID, owner};
      return syscall(SYS_fcntl, fd, F_SETOWN_EX, &ex);
    });
  });
}
Result ByOwnerRequest(Place& place) {
  return OnOthers(place, [](pid_t pid) {
    return KernelKills(
        pid, [](int fd, pid_t owner) { return syscall(SYS_ioctl, fd, FIOSETOWN, &owner); });
  });
}

// --- signals-timers ------------------------------------------------------------------------------

Result SetsTimer(pid_t thread) {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGTERM;
  event._sigev_un._tid = thread;
  int timer = 0;
  if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) < 0) return errno;
  itimerspec soon{};
  soon.it_value.tv_nsec = 1;
  return Answer(syscall(SYS_timer_settime, timer, 0, &soon, nullptr));
}

Result TimesPeer(Place& place) {
  return OnOthers(place, [](pid_t pid) {
    const Result set = SetsTimer(pid);
    return set == 0 ? Dies(pid) : set;
  });
}
Result TimesItself(Place& /*place*/) {
  const Result ended = InChild([] {
    const Result set = SetsTimer(static_cast<pid_t>(syscall(SYS_gettid)));
    for (int i = 0; set == 0 && i < kPatience; ++i) poll(nullptr, 0, 10);
    return set == 0 ? ETIMEDOUT : set;
  });
  return ended == -SIGTERM ? 0 : ended;
}

// --- rules ---------------------------------------------------------------------------------------

void NoKill(Place& /*place*/) { Deny({{SYS_kill, {}}}); }
void NoSignal(Place& /*place*/) {
  Deny({{SYS_kill, {}},
        {SYS_tkill, {}},
        {SYS_tgkill, {}},
        {SYS_rt_sigqueueinfo, {}},
        {SYS_rt_tgsigqueueinfo, {}}});
}
void NoSignalNorPidfd(Place& /*place*/) {
  Deny({{SYS_kill, {}},
        {SYS_tkill, {}},
        {SYS_tgkill, {}},
        {SYS_rt_sigqueueinfo, {}},
        {SYS_rt_tgsigqueueinfo, {}},
        {SYS_pidfd_send_signal, {}}});
}

}  // namespace

std::vector<HalfRule> SignalRules() {
  const std::vector<Way> kills{{"kill", Kills}};
  const Way reads{"read", ReadsGranted};
  return {
      {"signals-kill",
       StartNobody,
       BecomeNobody,
       {{"open", ReadsDecoy}},
       {"itself", KillsItself},
       {{"kill", Kills, nullptr, false, true}}},
      {"signals-tgkill",
       StartPeer,
       NoKill,
       kills,
       reads,
       {{"tgkill", KillsThread, nullptr, false, true},
        {"tkill", KillsTask},
        {"sigqueue", Queues},
        {"tgsigqueue", QueuesToThread}}},
      {"signals-pidfd", StartPeer, NoSignal, kills, reads, {{"pidfd", KillsByPidfd}}},
      {"signals-sigio",
       StartPeer,
       NoSignalNorPidfd,
       kills,
       reads,
       {{"setown", ByOwner}, {"setown-ex", ByExtendedOwner}, {"fiosetown", ByOwnerRequest}}},
      {"signals-timers",
       StartPeer,
       NoSignalNorPidfd,
       kills,
       reads,
       {{"itself", TimesItself, nullptr, true}, {"peer", TimesPeer}}},
  };
}

}  // namespace bulkhead::attacks
