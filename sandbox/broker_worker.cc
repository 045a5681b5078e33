// SPDX-License-Identifier: Apache-2.0
// How a worker comes to be confined. What it then does is in broker_calls.cc.
#include "sandbox/broker_worker.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "profiles/landlock.h"
#include "sandbox/broker_calls.h"
#include "sandbox/capabilities.h"
#include "sandbox/clone_args.h"
#include "sandbox/descriptors.h"
#include "sandbox/few_calls.h"
#include "sandbox/ruleset.h"

namespace bulkhead {
namespace {

constexpr long kSysLandlockRestrictSelf = 446;  // the same on every architecture
constexpr int kParking = 512;                   // above all that is moved

// Moves the worker's descriptors to 0, 1, 2 and closes all others. While the supervisor's own /proc
// is there.
bool KeepDescriptors(Kernel& kernel, const WorkerPlan& plan, int socket) {
  int kept[3] = {socket, plan.mount_namespace, plan.network_namespace};
  int count = 0;
  for (int& fd : kept) {
    if (fd < 0) continue;
    fd = static_cast<int>(kernel(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kParking));
    if (fd < 0) return false;
    ++count;
  }
  for (int number = 0; number < count; ++number) {
    if (kernel(SYS_dup3, kept[number], number, O_CLOEXEC) < 0) return false;
  }
  return CloseFrom(kernel, count, plan.close_range) >= 0;
}

bool EnterNamespaces(Kernel& kernel, const WorkerPlan& plan) {
  const bool own_network = plan.network_namespace >= 0;
  return kernel(SYS_setns, 1, CLONE_NEWNS) >= 0 && kernel(SYS_close, 1) >= 0 &&
         (!own_network || (kernel(SYS_setns, 2, CLONE_NEWNET) >= 0 && kernel(SYS_close, 2) >= 0));
}

bool Limit(Kernel& kernel) {
  const rlimit64 no_core{1, 1};  // as in confine.cc
  const rlimit64 few_files{16, 16};
  const long ring = kernel(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  return kernel(SYS_setsid) >= 0 && (ring >= 0 || ring == -ENOSYS) &&
         kernel(SYS_prlimit64, 0, RLIMIT_CORE, &no_core, nullptr) >= 0 &&
         kernel(SYS_prlimit64, 0, RLIMIT_NOFILE, &few_files, nullptr) >= 0;
}

bool Become(Kernel& kernel, const WorkerPlan& plan) {
  const ProfileData& profile = plan.profile;
  const uint32_t gid = profile.gid;
  const uint32_t uid = profile.uid;
  constexpr unsigned long kLocked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                    SECBIT_NO_CAP_AMBIENT_RAISE |
                                    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  if (kernel(SYS_setgroups, profile.groups.size(), profile.groups.data()) < 0 ||
      kernel(SYS_setresgid, gid, gid, gid) < 0 ||
      kernel(SYS_prctl, PR_SET_SECUREBITS, kLocked, 0, 0, 0) < 0) {
    return false;
  }
  for (const int capability : plan.bounding) {
    if (kernel(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return false;
  }
  const __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  // The change of the uid clears the signal of a parent's death, and the word that it may be traced
  // comes back with nothing but an exec (prctl(2)).
  return kernel(SYS_setresuid, uid, uid, uid) >= 0 && kernel(SYS_capset, &header, &none) >= 0 &&
         kernel(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) >= 0 &&
         kernel(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) >= 0;
}

bool Close(Kernel& kernel, const WorkerPlan& plan, int ruleset) {
  if (kernel(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return false;
  if (ruleset >= 0) {
    const uint32_t flags = plan.landlock.log ? landlock::kLogSameExecOff : 0;
    if (kernel(kSysLandlockRestrictSelf, ruleset, flags) < 0 || kernel(SYS_close, ruleset) < 0) {
      return false;
    }
  }
  const Filter& filter = WorkerFilter();
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           reinterpret_cast<sock_filter*>(const_cast<Instruction*>(filter.data()))};
  return kernel(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) >= 0;
}

// What the kernel keeps for the component by its calls, as messages that nobody has read, would
// else be the supervisor's.
bool EnterCgroup(Kernel& kernel, const WorkerPlan& plan, bool entered) {
  if (plan.cgroup_tasks >= 0) return kernel(SYS_write, plan.cgroup_tasks, "0", 1) == 1;
  if (plan.cgroup_directory < 0 || entered) return true;
  const long file =
      kernel(SYS_openat, plan.cgroup_directory, "cgroup.procs", O_WRONLY | O_CLOEXEC, 0);
  return file >= 0 && kernel(SYS_write, file, "0", 1) == 1 && kernel(SYS_close, file) >= 0;
}

bool Confine(Kernel& kernel, const WorkerPlan& plan, int socket, bool entered) {
  if (!EnterCgroup(kernel, plan, entered) || !KeepDescriptors(kernel, plan, socket) ||
      !EnterNamespaces(kernel, plan))
    return false;
  Failure failure;
  const int ruleset = BuildRuleset(kernel, plan.landlock, failure);
  if (ruleset < 0 && failure.error != 0) return false;
  const unsigned long none = 0;
  return Limit(kernel) && Become(kernel, plan) &&
         kernel(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, 8) >= 0 &&
         Close(kernel, plan, ruleset);
}

}  // namespace

WorkerPlan::WorkerPlan(const ProfileData& component)
    : profile(component), bounding(BoundingCapabilities()) {
  landlock.handled_files = component.landlock.handled_files;
  landlock.handled_net = component.landlock.handled_net;
  landlock.scoped = component.landlock.scoped;
  landlock.log = component.landlock.log;
  if ((landlock.handled_net & landlock::kConnectTcp) == 0) return;
  for (const BrokerRule& rule : component.broker.rules) {
    if (rule.kind != BrokerKind::kTcpConnect) continue;
    landlock.ports.push_back({static_cast<uint16_t>(rule.port), landlock::kConnectTcp, {}});
  }
}

pid_t LaunchWorker(Kernel& kernel, const WorkerPlan& plan, int socket, WorkerPage& page) {
  WorkerFilter();  // is made here, as a worker allocates nothing
  long pid = -ENOSYS;
  if (plan.cgroup_directory >= 0) {
    CloneArgs args;
    args.flags = kCloneIntoCgroup;
    args.exit_signal = SIGCHLD;
    args.cgroup = static_cast<uint64_t>(plan.cgroup_directory);
    pid = kernel(SYS_clone3, &args, sizeof args);
  }
  const bool entered = !IsNoCloneIntoCgroup(pid);
  if (!entered) pid = kernel(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid != 0) return static_cast<pid_t>(pid);
  if (Confine(kernel, plan, socket, entered)) ServeBroker(kernel, plan.profile.broker, page);
  for (;;) kernel(SYS_exit_group, 1);
}

const Filter& WorkerFilter() {
  static const Filter filter = [] {
    constexpr long kCalls[] = {
        SYS_pread64,    SYS_recvmsg,      SYS_connect,        SYS_sendto, SYS_bind,
        SYS_getsockopt, SYS_fcntl,        SYS_close,          SYS_ppoll,  SYS_sched_yield,
        SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall};
    return AllowFewCalls(kCalls);
  }();
  return filter;
}

}  // namespace bulkhead
