// SPDX-License-Identifier: Apache-2.0
#include "sandbox/confine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <nettle/sha2.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "profiles/landlock.h"
#include "sandbox/descriptors.h"
#include "sandbox/launch_trace.h"

namespace bulkhead {
namespace {

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)  // Linux 5.19
#endif
constexpr long kSysLandlockRestrictSelf = 446;  // the same on every architecture

// Instruction is handed to the kernel as it is.
static_assert(sizeof(Instruction) == sizeof(sock_filter));

// Descriptors are first moved above this number, then down to their places, so that no move can
// overwrite one still to be moved.
constexpr int kParking = 512;

// The kernel's struct sigaction (not glibc's): all zero is the default disposition.
struct KernelSigaction {
  void (*handler)(int) = nullptr;
  unsigned long flags = 0;
  void (*restorer)() = nullptr;
  uint64_t mask = 0;
};

class Steps {
 public:
  Steps(Kernel& kernel, const LaunchPlan& plan, ChildDescriptors& fds, Failure& failure)
      : kernel_(kernel), plan_(plan), profile_(*plan.profile), fds_(fds), failure_(failure) {}

  bool All() {
    return BeTraced() && Enter() && Greet() && Session() && Program() && Go() && Alone() &&
           Descriptors() && Try(TrialPhase::kEntered) && Decoy() && ResourceLimits() &&
           Surroundings() && Identity() && Listen() && Close() && Try(TrialPhase::kFiltered) &&
           TellWitnessed();
  }

 private:
  bool Check(long result, Step step, uint32_t index = 0) {
    if (result >= 0) return true;
    failure_ = {step, index, static_cast<int32_t>(-result)};
    return false;
  }

  bool BeTraced() { return !plan_.traced || Check(StopForTracer(kernel_), Step::kTrace); }

  // 0 is the caller.
  bool Enter() {
    for (size_t i = 0; i < plan_.cgroup_tasks.size(); ++i) {
      const long written = kernel_(SYS_write, plan_.cgroup_tasks[i], "0", 1);
      if (!Check(written, Step::kCgroup, static_cast<uint32_t>(i))) return false;
    }
    return true;
  }

  bool Greet() {
    const Hello hello;
    const long sent =
        kernel_(SYS_sendto, fds_.handshake, &hello, sizeof hello, MSG_NOSIGNAL, nullptr, 0);
    return Check(sent, Step::kHello) &&
           Check(kernel_(SYS_getpid) == kComponentPid ? 0 : -ESRCH, Step::kPid) &&
           // Until the reaper has detached it the old root is the working directory.
           Check(kernel_(SYS_chdir, "/"), Step::kPivot, 4);
  }

  // What the supervisor does before it says so, and the reaper, is done beside the steps before.
  bool Go() {
    char go = 0;
    const long got = kernel_(SYS_recvfrom, fds_.handshake, &go, 1, 0, nullptr, nullptr);
    return Check(got == 1 ? 0 : (got < 0 ? got : -EPIPE), Step::kHello, 1);
  }

  bool Alone() {
    uint64_t once = 0;
    const long got = kernel_(SYS_read, fds_.alone, &once, sizeof once);
    return Check(got == sizeof once ? 0 : (got < 0 ? got : -EPIPE), Step::kPivot, 5);
  }

  bool Session() {
    if (!Check(kernel_(SYS_setsid), Step::kSession)) return false;
    const long ring = kernel_(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
    // A kernel without keys has no keyring to share.
    if (ring != -ENOSYS && !Check(ring, Step::kKeyring)) return false;
    // Ignored signals and masks outlive an exec; those of the supervisor are not the component's.
    const KernelSigaction defaults;
    for (int signal = 1; signal <= 64; ++signal) {
      if (signal == SIGKILL || signal == SIGSTOP) continue;
      const long reset = kernel_(SYS_rt_sigaction, signal, &defaults, nullptr, 8);
      if (!Check(reset, Step::kSession, static_cast<uint32_t>(signal))) return false;
    }
    const unsigned long none = 0;
    return Check(kernel_(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, 8), Step::kSession, 100);
  }

  // The program is hashed through the descriptor that is executed later, so nobody can swap it.
  bool Program() {
    if (!profile_.pin) return true;
    const long fd = kernel_(SYS_openat, AT_FDCWD, plan_.argv[0], O_RDONLY | O_CLOEXEC);
    if (!Check(fd, Step::kProgram)) return false;
    sha384_ctx context;
    sha384_init(&context);
    uint8_t buffer[16384];
    for (;;) {
      const long size = kernel_(SYS_read, fd, buffer, sizeof buffer);
      if (!Check(size, Step::kProgram, 1)) return false;
      if (size == 0) break;
      sha384_update(&context, static_cast<size_t>(size), buffer);
    }
    Digest digest{};
    sha384_digest(&context, digest.size(), digest.data());
    fds_.program = static_cast<int>(fd);
    return Check(digest == *profile_.pin ? 0 : -EKEYREJECTED, Step::kProgram, 2);
  }

  bool Park(int& fd, uint32_t index) {
    const long parked = kernel_(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kParking);
    if (!Check(parked, Step::kDescriptors, index)) return false;  // reported by the old number
    fd = static_cast<int>(parked);
    return true;
  }

  bool Place(int parked, int number, int flags) {
    return Check(kernel_(SYS_dup3, parked, number, flags), Step::kDescriptors,
                 static_cast<uint32_t>(number));
  }

  // 0-2 standard streams, 3… what is handed over, then handshake, installed, ruleset; nothing else.
  bool Descriptors() {
    long null = kernel_(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
    if (!Check(null, Step::kDescriptors)) return false;
    int streams[3] = {static_cast<int>(null),
                      plan_.stdout_fd < 0 ? static_cast<int>(null) : plan_.stdout_fd,
                      plan_.stderr_fd < 0 ? static_cast<int>(null) : plan_.stderr_fd};
    for (int& stream : streams) {
      if (!Park(stream, 0)) return false;
    }
    constexpr size_t kMaxPassed = 128;
    int passed[kMaxPassed];
    const size_t count = plan_.passed.size();
    if (!Check(count <= kMaxPassed ? 0 : -EMFILE, Step::kDescriptors)) return false;
    for (size_t i = 0; i < count; ++i) {
      passed[i] = plan_.passed[i];
      if (!Park(passed[i], static_cast<uint32_t>(i))) return false;
    }
    if (!Park(fds_.handshake, 1) || !Park(fds_.installed, 2)) return false;
    if (fds_.program >= 0 && !Park(fds_.program, 3)) return false;
    if (fds_.ruleset >= 0 && !Park(fds_.ruleset, 4)) return false;
    for (int i = 0; i < 3; ++i) {
      if (!Place(streams[i], i, 0)) return false;
    }
    const int base = 3 + static_cast<int>(count);
    for (size_t i = 0; i < count; ++i) {
      if (!Place(passed[i], 3 + static_cast<int>(i), 0)) return false;
    }
    if (!Place(fds_.handshake, base, O_CLOEXEC)) return false;
    fds_.handshake = base;
    if (!Place(fds_.installed, base + 1, O_CLOEXEC)) return false;
    fds_.installed = base + 1;
    int next = base + 2;
    for (int* fd : {&fds_.program, &fds_.ruleset}) {
      if (*fd < 0) continue;
      if (!Place(*fd, next, O_CLOEXEC)) return false;
      *fd = next++;
    }
    return Check(CloseFrom(kernel_, next, plan_.close_range), Step::kDescriptors, 4);
  }

  bool Limit(uint32_t index, int resource, uint64_t value) {
    if (value == 0) return true;
    const rlimit64 limit{value, value};
    return Check(kernel_(SYS_prlimit64, 0, resource, &limit, nullptr), Step::kLimit, index);
  }

  bool ResourceLimits() {
    // 1 and not 0: at 0 a helper named by a piped core_pattern would still get the memory, at 1 the
    // kernel dumps nowhere (fs/coredump.c; a file needs a page).
    const rlimit64 no_core{1, 1};
    return Check(kernel_(SYS_prlimit64, 0, RLIMIT_CORE, &no_core, nullptr), Step::kLimit, 0) &&
           (profile_.limits.processes == 0 || Limit(1, RLIMIT_NPROC, ProcessLimit(profile_))) &&
           Limit(2, RLIMIT_NOFILE, profile_.limits.files) &&
           Limit(3, RLIMIT_FSIZE, profile_.limits.file_size);
  }

  bool Surroundings() {
    return Check(kernel_(SYS_umask, profile_.umask), Step::kUmask) &&
           Check(kernel_(SYS_chdir, profile_.directory.c_str()), Step::kDirectory);
  }

  bool Identity() {
    const auto& groups = profile_.groups;
    if (!Check(kernel_(SYS_setgroups, groups.size(), groups.data()), Step::kGroups)) return false;
    const uint32_t gid = profile_.gid;
    if (!Check(kernel_(SYS_setresgid, gid, gid, gid), Step::kGid)) return false;
    constexpr unsigned long kLocked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
                                      SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                      SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                      SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (!Check(kernel_(SYS_prctl, PR_SET_SECUREBITS, kLocked, 0, 0, 0), Step::kSecureBits)) {
      return false;
    }
    for (size_t i = 0; i < plan_.bounding.size(); ++i) {
      if (!Check(kernel_(SYS_prctl, PR_CAPBSET_DROP, plan_.bounding[i], 0, 0, 0), Step::kBounding,
                 static_cast<uint32_t>(i))) {
        return false;
      }
    }
    const uint32_t uid = profile_.uid;
    if (!Check(kernel_(SYS_setresuid, uid, uid, uid), Step::kUid)) return false;
    const __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2] = {};
    return Check(kernel_(SYS_capset, &header, &none), Step::kCapabilities);
  }

  // listen(2) stamps the caller's credentials on the socket: clients see the component, not root.
  bool Listen() {
    if (plan_.accepted) return true;
    for (size_t i = 0; i < profile_.listeners.size(); ++i) {
      if (!Check(kernel_(SYS_listen, 3 + i, 128), Step::kListen, static_cast<uint32_t>(i))) {
        return false;
      }
    }
    return true;
  }

  static int64_t Now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);  // by the vDSO: no call
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
  }

  // What its operations take, and not the steps between them.
  bool Try(TrialPhase phase) {
    const int64_t began = Now();
    const bool passed = TryAll(kernel_, plan_, phase, decoy_, failure_);
    witness_ns_ += Now() - began;
    return passed;
  }

  // Before there is a limit of descriptors, which is the program's to use up.
  bool Decoy() {
    const int64_t began = Now();
    const bool made = Check(decoy_.Make(kernel_, plan_.witness), Step::kWitness, kNoTrial);
    witness_ns_ += Now() - began;
    return made;
  }

  bool TellWitnessed() {
    const Witnessed told{kWitnessedMagic, static_cast<uint32_t>(plan_.witness.trials.size()),
                         static_cast<uint64_t>(witness_ns_)};
    const long sent = kernel_(SYS_write, fds_.handshake, &told, sizeof told);
    return Check(sent == sizeof told ? 0 : (sent < 0 ? sent : -EPIPE), Step::kHello, 2);
  }

  bool Close() {
    if (!Check(kernel_(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), Step::kNoNewPrivileges)) {
      return false;
    }
    if (fds_.ruleset >= 0) {
      // The witness's refusals leave no records.
      constexpr uint32_t kLog = landlock::kLogNewExecOn | landlock::kLogSameExecOff;
      const uint32_t flags = profile_.landlock.log ? kLog : 0;
      if (!Check(kernel_(kSysLandlockRestrictSelf, fds_.ruleset, flags), Step::kLandlock) ||
          !Check(kernel_(SYS_close, fds_.ruleset), Step::kLandlock, 1)) {
        return false;
      }
    }
    if (!Try(TrialPhase::kConfined)) return false;
    if (!Check(decoy_.Close(kernel_), Step::kWitness, kNoTrial)) return false;
    sock_fprog program{
        static_cast<unsigned short>(profile_.filter.size()),
        reinterpret_cast<sock_filter*>(const_cast<Instruction*>(profile_.filter.data()))};
    unsigned long flags = 0;
    if (profile_.notifies) flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    if (profile_.notifies && plan_.wait_killable) flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    const long listener = kernel_(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (!Check(listener, Step::kFilter)) return false;
    if (profile_.notifies && listener != ListenerNumber(plan_)) {
      return Check(-EBADF, Step::kFilter, 1);
    }
    return Check(kernel_(SYS_close, fds_.installed), Step::kFilter, 2);
  }

  Kernel& kernel_;
  const LaunchPlan& plan_;
  const ProfileData& profile_;
  ChildDescriptors& fds_;
  Failure& failure_;
  DecoySocket decoy_;
  int64_t witness_ns_ = 0;
};

}  // namespace

int ListenerNumber(const LaunchPlan& plan) {
  return 3 + static_cast<int>(plan.passed.size()) + 2 + (plan.profile->pin ? 1 : 0);
}

std::optional<Applied> Confine(Kernel& kernel, const LaunchPlan& plan, ChildDescriptors& fds,
                               Failure& failure) {
  if (!Steps(kernel, plan, fds, failure).All()) return std::nullopt;
  return Applied();
}

Failure Execute(Kernel& kernel, const LaunchPlan& plan, const ChildDescriptors& fds, Applied) {
  if (plan.profile->notifies && plan.launch_call == kBarrierCall) kernel(kBarrierCall);
  const long result =
      fds.program >= 0
          ? kernel(SYS_execveat, fds.program, "", plan.argv.data(), plan.envp.data(), AT_EMPTY_PATH)
          : kernel(SYS_execve, plan.argv[0], plan.argv.data(), plan.envp.data());
  return {Step::kExec, 0, static_cast<int32_t>(-result)};
}

void ReportAndExit(Kernel& kernel, int handshake, const Failure& failure) {
  // write, not send: it is in every filter's base.
  kernel(SYS_write, handshake, &failure, sizeof failure);
  for (;;) kernel(SYS_exit_group, 125);
}

}  // namespace bulkhead
