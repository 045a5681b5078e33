// SPDX-License-Identifier: Apache-2.0
#include "sandbox/reaper.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <string_view>

#include "sandbox/clone_args.h"
#include "sandbox/confine.h"
#include "sandbox/descriptors.h"
#include "sandbox/few_calls.h"
#include "sandbox/launch_trace.h"
#include "sandbox/ruleset.h"

namespace bulkhead {
namespace {

[[noreturn]] void Exit(Kernel& kernel, int code) {
  for (;;) kernel(SYS_exit_group, code);
}

[[noreturn]] void Fail(Kernel& kernel, int control, const Failure& failure) {
  const ReaperMessage message{ReaperMessage::Kind::kFailure, failure, 0, 0};
  kernel(SYS_write, control, &message, sizeof message);
  Exit(kernel, 125);
}

void Require(Kernel& kernel, int control, long result, Step step, uint32_t index = 0) {
  if (result < 0) Fail(kernel, control, {step, index, static_cast<int32_t>(-result)});
}

[[noreturn]] void RunComponent(Kernel& kernel, const LaunchPlan& plan, ChildDescriptors fds) {
  Failure failure;
  if (auto proof = Confine(kernel, plan, fds, failure)) {
    failure = Execute(kernel, plan, fds, *proof);
  }
  ReportAndExit(kernel, fds.handshake, failure);
}

struct Child {
  Kernel& kernel;
  const LaunchPlan& plan;
  ChildDescriptors fds;
};

void RunChild(void* argument) {
  const Child& child = *static_cast<Child*>(argument);
  RunComponent(child.kernel, child.plan, child.fds);
}

// The component shares the reaper's memory until its exec, on a stack of its own: copying it, and
// giving the copy up again, would cost more than all steps of confinement together. What runs until
// then is this program's own, which changes nothing but its stack.
// Into the cgroup of version 2 at once, where the kernel can (Linux 5.7); else the supervisor moves
// the child before it goes on.
long Fork(Kernel& kernel, const LaunchPlan& plan, Child& component) {
  const SpawnTarget target{plan.stack.get() + kStackSize, &RunChild, &component};
  if (plan.cgroup_directory >= 0) {
    CloneArgs args;
    args.flags = kCloneIntoCgroup | CLONE_VM;
    args.exit_signal = SIGCHLD;
    args.stack = plan.stack.get();
    args.stack_size = kStackSize;
    args.cgroup = static_cast<uint64_t>(plan.cgroup_directory);
    const long child = kernel.Spawn(target, SYS_clone3, &args, sizeof args);
    if (!IsNoCloneIntoCgroup(child)) return child;
  }
  return kernel.Spawn(target, SYS_clone, CLONE_VM | SIGCHLD, target.stack_top);
}

// Where the whole machine runs out of memory the kernel ends a component, and not the supervisor or
// what else is there (proc_pid_oom_score_adj(5)). Children inherit it; to raise it needs no right.
long OfferItsMemory(Kernel& kernel) {
  constexpr std::string_view kHighest = "1000";
  const long file =
      kernel(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
  if (file < 0) return file;
  const long size = kernel(SYS_write, file, kHighest.data(), kHighest.size());
  kernel(SYS_close, file);
  if (size < 0) return size;
  return size == static_cast<long>(kHighest.size()) ? 0 : -EIO;
}

// Where the reaper keeps its sockets, and `alone` until the component has been told.
constexpr int kControl = 0;
constexpr int kAlone = 1;
constexpr int kNotify = 2;

// The component waits for this: it is alone with its view, and goes on. By an eventfd(2), since an
// end of file would also come of a reaper that failed.
void TellAlone(Kernel& kernel, int control, long alone) {
  const uint64_t once = 1;
  const long told = kernel(SYS_write, alone, &once, sizeof once);
  Require(kernel, control, told == sizeof once ? 0 : (told < 0 ? told : -EPIPE), Step::kPivot, 3);
}

// Keeps CAP_KILL: it signals a process of another uid. In a PID namespace of its own that reaches
// nobody else.
void GiveUpPrivileges(Kernel& kernel, const LaunchPlan& plan, int control, long component) {
  for (size_t i = 0; i < plan.bounding.size(); ++i) {
    Require(kernel, control, kernel(SYS_prctl, PR_CAPBSET_DROP, plan.bounding[i], 0, 0, 0),
            Step::kReaperCapabilities, static_cast<uint32_t>(i));
  }
  const __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  data[0].effective = data[0].permitted = 1U << CAP_KILL;
  Require(kernel, control, kernel(SYS_capset, &header, &data), Step::kReaperCapabilities, 100);
  Require(kernel, control, kernel(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), Step::kReaperFilter);
  // It was told before, and runs nothing of its own until it is let go, which the filter forbids.
  if (plan.traced) Require(kernel, control, LetGo(kernel, component), Step::kTrace, 3);
  const Filter& filter = ReaperFilter();
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           reinterpret_cast<sock_filter*>(const_cast<Instruction*>(filter.data()))};
  Require(kernel, control, kernel(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program),
          Step::kReaperFilter, 1);
  // As late as can be: until now nothing of the component's own runs.
  if (!plan.traced) TellAlone(kernel, control, kAlone);
  kernel(SYS_close, kAlone);
}

// A message of sd_notify(3) has lines.
bool HasLine(std::string_view text, std::string_view line) {
  for (;;) {
    const size_t end = text.find('\n');
    if (text.substr(0, end) == line) return true;
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
}

struct Said {
  bool ready = false;
  bool alive = false;
};

// Reads one message of the readiness socket: whether READY=1 or WATCHDOG=1 is in it, from the
// component's uid, as sd_notify(3) writes it. There is no room for descriptors, so the kernel drops
// them.
Said ReadNotification(Kernel& kernel, int notify, uint32_t uid) {
  char bytes[1024];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  iovec vector{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const long size = kernel(SYS_recvmsg, notify, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return {};
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET ||
      header->cmsg_type != SCM_CREDENTIALS || header->cmsg_len != CMSG_LEN(sizeof(ucred))) {
    return {};
  }
  ucred sender{};
  std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
  const std::string_view text(bytes, static_cast<size_t>(size));
  if (sender.uid != uid) return {};
  return {HasLine(text, "READY=1"), HasLine(text, "WATCHDOG=1")};
}

void Tell(Kernel& kernel, ReaperMessage::Kind kind) {
  const ReaperMessage message{kind, {}, 0, 0};
  kernel(SYS_write, kControl, &message, sizeof message);
}

[[noreturn]] void ReportEnd(Kernel& kernel, int control, int status, uint32_t orphans) {
  const ReaperMessage message{ReaperMessage::Kind::kExit, {}, status, orphans};
  kernel(SYS_write, control, &message, sizeof message);
  Exit(kernel, 0);
}

// Returns when the component stands at its exec.
void Trace(Kernel& kernel, int control, long component) {
  int status = 0;
  Failure failure;
  switch (TraceUntilExec(kernel, component, status, failure)) {
    case Traced::kAtExec:
      return;
    case Traced::kEnded:
      ReportEnd(kernel, control, status, 0);
    case Traced::kFailed:
      Fail(kernel, control, failure);
  }
}

// Reaps whatever has ended. When it was the component's process, reports and ends everything.
void Reap(Kernel& kernel, int control, long component, uint32_t& orphans) {
  for (;;) {
    int status = 0;
    const long pid = kernel(SYS_wait4, -1, &status, WNOHANG | __WALL, nullptr);
    if (pid <= 0) return;
    if (pid != component) {
      ++orphans;
      continue;
    }
    ReportEnd(kernel, control, status, orphans);
  }
}

void Obey(Kernel& kernel, int control, long component) {
  ReaperCommand command;
  const long size = kernel(SYS_read, control, &command, sizeof command);
  if (size == 0 || (size < 0 && size != -EINTR && size != -EAGAIN)) Exit(kernel, 0);
  if (size == static_cast<long>(sizeof command)) {
    kernel(SYS_kill, command.all != 0 ? -1L : component, command.signal);
    if (command.all != 0 && command.signal == SIGSTOP) Tell(kernel, ReaperMessage::Kind::kStopped);
  }
}

// Messages are read as they come, so that no sd_notify(3) waits, but not faster than this: a flood
// would cost processor time outside the component's limits.
constexpr uint32_t kQuickMessages = 64;
constexpr long kSlowMessage = 10'000'000;  // ns between two after these

[[noreturn]] void Watch(Kernel& kernel, uint32_t uid, long component, bool notify) {
  uint32_t orphans = 0;
  uint32_t messages = 0;
  bool resting = false;
  // SIGCHLD is blocked but while waiting, so that none is missed between reaping and waiting.
  const unsigned long none = 0;
  for (;;) {
    Reap(kernel, kControl, component, orphans);
    pollfd poll[2] = {{kControl, POLLIN, 0}, {kNotify, POLLIN, 0}};
    const timespec rest{0, kSlowMessage};
    const long ready = kernel(SYS_ppoll, poll, notify && !resting ? 2 : 1,
                              resting ? &rest : nullptr, &none, sizeof none);
    resting = resting && ready != 0;
    if (ready <= 0) continue;
    if (poll[0].revents != 0) Obey(kernel, kControl, component);
    if (poll[1].revents == 0) continue;
    resting = ++messages > kQuickMessages;
    const Said said = ReadNotification(kernel, kNotify, uid);
    if (said.ready) Tell(kernel, ReaperMessage::Kind::kReady);
    if (said.alive) Tell(kernel, ReaperMessage::Kind::kAlive);
  }
}

void OnChild(int) {}

}  // namespace

const Filter& ReaperFilter() {
  static const Filter filter = [] {
    constexpr long kCalls[] = {SYS_wait4,   SYS_ppoll,      SYS_read,         SYS_write,
                               SYS_kill,    SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall,
                               SYS_recvmsg, SYS_close};
    return AllowFewCalls(kCalls);
  }();
  return filter;
}

ssize_t TakeMessage(int control, ReaperMessage& message) {
  const auto take = [&] { return recv(control, &message, sizeof message, MSG_DONTWAIT); };
  const ssize_t size = take();
  return size < 0 && errno == ECONNRESET ? take() : size;
}

void RunReaper(Kernel& kernel, const LaunchPlan& plan, ReaperDescriptors fds) {
  const int control = fds.control;
  Require(kernel, control, kernel(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0),
          Step::kParentDeath);
  Require(kernel, control, OfferItsMemory(kernel), Step::kOutOfMemory);
  if (plan.network_namespace >= 0) {
    Require(kernel, control, kernel(SYS_setns, plan.network_namespace, CLONE_NEWNET),
            Step::kSpareNetwork);
  }
  Failure failure;
  const bool prepared = plan.view_namespace >= 0;
  const bool in_view =
      prepared ? CompleteView(kernel, plan.view_namespace, plan.split, plan.tripwire_fd, failure)
               : ApplyView(kernel, plan.staging, plan.view, plan.tripwire_fd, failure);
  if (!in_view) Fail(kernel, control, failure);
  const std::string& name = plan.profile->name;
  Require(kernel, control, kernel(SYS_sethostname, name.data(), name.size()), Step::kHostName);
  const int ruleset = BuildRuleset(kernel, plan.profile->landlock, failure);
  if (ruleset < 0 && failure.error != 0) Fail(kernel, control, failure);

  // A handler is needed for SIGCHLD to interrupt ppoll; as PID 1 everything else is ignored.
  struct sigaction action {};
  action.sa_handler = OnChild;
  sigaction(SIGCHLD, &action, nullptr);
  const unsigned long all = ~0UL;
  Require(kernel, control, kernel(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, 8), Step::kFork);

  const long alone = kernel(SYS_eventfd2, 0, EFD_CLOEXEC);
  Require(kernel, control, alone, Step::kFork, 2);
  Child child{kernel, plan, {fds.handshake, fds.installed, ruleset, -1, static_cast<int>(alone)}};
  const long component = Fork(kernel, plan, child);
  Require(kernel, control, component, Step::kFork, 1);
  if (!prepared && !DetachOldRoot(kernel, failure)) Fail(kernel, control, failure);
  if (plan.traced) {
    TellAlone(kernel, control, alone);
    Trace(kernel, control, component);
  }
  // The reaper keeps its sockets and nothing else. All are above kNotify: the supervisor's standard
  // streams are there.
  const bool notify = plan.notify_fd >= 0;
  Require(kernel, control, kernel(SYS_dup3, control, kControl, O_CLOEXEC), Step::kReaperFilter, 2);
  if (notify) {
    Require(kernel, kControl, kernel(SYS_dup3, plan.notify_fd, kNotify, O_CLOEXEC),
            Step::kReaperFilter, 3);
  }
  Require(kernel, kControl, kernel(SYS_dup3, alone, kAlone, O_CLOEXEC), Step::kReaperFilter, 5);
  const int first = notify ? kNotify + 1 : kNotify;
  Require(kernel, kControl, CloseFrom(kernel, first, plan.close_range), Step::kReaperFilter, 4);
  GiveUpPrivileges(kernel, plan, kControl, component);
  Watch(kernel, plan.profile->uid, component, notify);
}

}  // namespace bulkhead
