// SPDX-License-Identifier: Apache-2.0
#include "sandbox/probe_kernel.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "profiles/landlock.h"
#include "sandbox/cgroup_mounts.h"
#include "sandbox/connect_guard.h"
#include "sandbox/launch_trace.h"

namespace bulkhead {
namespace {

// Absent from the headers of Debian 12; values from the kernel's own uapi headers.
constexpr unsigned kNewListener = 1U << 3;
constexpr unsigned kWaitKillableRecv = 1U << 5;       // Linux 5.19
constexpr unsigned long kNotifSetFlags = 0x40082104;  // _IOW('!', 4, u64), Linux 6.6
constexpr unsigned long kNotifSyncWakeUp = 1;         // Linux 6.6
constexpr unsigned kLandlockVersion = 1;              // LANDLOCK_CREATE_RULESET_VERSION
constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;    // PROC_PID_INIT_INO, Linux 3.8
constexpr int kProbeFailed = 1;

// Runs `probe` in a child; true if it returned true there.
template <typename Probe>
bool InChild(Probe probe) {
  const pid_t child = fork();
  if (child == 0) _exit(probe() ? 0 : kProbeFailed);
  if (child < 0) return false;
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

uint32_t LandlockAbi() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, kLandlockVersion);
  return abi > 0 ? static_cast<uint32_t>(abi) : 0;
}

// A filter at address 0 is EFAULT where the flags are known and EINVAL where not.
bool KnowsFilterFlags(unsigned flags) {
  return InChild([flags] {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, nullptr) == -1 && errno == EFAULT;
  });
}

// A listener on a filter that allows everything, in the calling process.
int OpenListener() {
  sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const sock_fprog program = {1, &allow};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kNewListener, &program));
}

bool HasNotify() {
  const uint32_t action = 0x7FC00000;  // SECCOMP_RET_USER_NOTIF
  if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) return false;
  return InChild([] { return OpenListener() >= 0; });
}

bool HasSyncWake() {
  return InChild([] {
    const int listener = OpenListener();
    return listener >= 0 && ioctl(listener, kNotifSetFlags, kNotifSyncWakeUp) == 0;
  });
}

// In a process that its parent traces: the parent's leave makes the first of two calls that the
// filter asks about, and without a tracer the second has no answer but ENOSYS.
bool AsksTracer() {
  RealKernel kernel;
  sock_filter ask[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                       {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getppid},
                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE},
                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const sock_fprog program = {4, ask};
  if (StopForTracer(kernel) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    return false;
  }
  const long first = syscall(SYS_getppid);
  const long second = syscall(SYS_getppid);
  return first > 0 && second == -1 && errno == ENOSYS;
}

bool HasSeccompTrace() {
  return InChild([] {
    RealKernel kernel;
    const pid_t traced = fork();
    if (traced == 0) _exit(AsksTracer() ? 0 : kProbeFailed);
    int status = 0;
    Failure failure;
    if (traced < 0 || TraceUntilExec(kernel, traced, status, failure) != Traced::kAtExec ||
        LetGo(kernel, traced) < 0) {
      return false;
    }
    return waitpid(traced, &status, 0) == traced && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  });
}

// pidfd_getfd of its own first descriptor, and a clone3 that knows its arguments' size.
bool HasPidfd() {
  const int self = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  if (self < 0) return false;
  const int copy = static_cast<int>(syscall(SYS_pidfd_getfd, self, self, 0));
  close(self);
  if (copy < 0) return false;
  close(copy);
  return syscall(SYS_clone3, nullptr, 0) == -1 && errno == EINVAL;
}

// Of a range that holds no descriptor.
bool HasCloseRange() { return syscall(SYS_close_range, ~0U, ~0U, 0) == 0; }

bool HasNamespace(int flag) {
  return InChild([flag] { return unshare(flag) == 0; });
}

// In a PID and mount namespace of its own: /proc must show processes and nothing else.
bool MountsProcSubset() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("proc", "/proc", "proc", flags, "subset=pid") != 0) return false;
  return access("/proc/self/status", F_OK) == 0 && access("/proc/meminfo", F_OK) != 0;
}

bool HasProcSubset() {
  return InChild([] {
    return unshare(CLONE_NEWPID | CLONE_NEWNS) == 0 && InChild([] { return MountsProcSubset(); });
  });
}

// A group of the class, and a permission mark on a file that nobody else knows: the mark is
// refused where permission events are compiled out.
bool HasFanotifyPermission() {
  return InChild([] {
    const int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
    const int file = static_cast<int>(syscall(SYS_memfd_create, "probe", 1U));
    return group >= 0 && file >= 0 &&
           fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_PERM, file, nullptr) == 0;
  });
}

ino_t NamespaceOf(const char* path) {
  struct stat info = {};
  return stat(path, &info) == 0 ? info.st_ino : 0;
}

bool InInitialPidNamespace() { return NamespaceOf("/proc/self/ns/pid") == kInitialPidNamespace; }

// The group sends in the initial network namespace only. Kernel threads never leave it, and
// kthreadd is process 2 of the initial PID namespace; process 1 may be closed to ptrace(2) checks.
bool InInitialNetNamespace() {
  const ino_t own = NamespaceOf("/proc/self/ns/net");
  return InInitialPidNamespace() && own != 0 && own == NamespaceOf("/proc/2/ns/net");
}

bool JoinsReadLog(int fd) {
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1U << (AUDIT_NLGRP_READLOG - 1);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// Asks for the state, changing nothing: refused without CAP_AUDIT_CONTROL or in another PID
// namespace, and unanswered without audit.
bool AnswersAuditRequests(int fd) {
  nlmsghdr request = {sizeof request, AUDIT_GET, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (sendto(fd, &request, sizeof request, 0, reinterpret_cast<const sockaddr*>(&kernel),
             sizeof kernel) < 0) {
    return false;
  }
  const timeval patience = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  struct {
    nlmsghdr header;
    char data[9000];
  } answer;
  for (;;) {
    const ssize_t got = recv(fd, &answer, sizeof answer, 0);
    if (got < static_cast<ssize_t>(sizeof(nlmsghdr))) return false;
    if (answer.header.nlmsg_seq != request.nlmsg_seq) continue;
    if (answer.header.nlmsg_type == AUDIT_GET) return true;
    const auto* reply = reinterpret_cast<const nlmsgerr*>(answer.data);
    if (answer.header.nlmsg_type == NLMSG_ERROR && reply->error != 0) return false;
  }
}

bool HasLandlockAudit() {
  if (LandlockAbi() < static_cast<uint32_t>(landlock::kLogAbi)) return false;
  if (!InInitialPidNamespace() || !InInitialNetNamespace()) return false;
  const int control = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
  const int reader = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
  const bool usable =
      control >= 0 && reader >= 0 && AnswersAuditRequests(control) && JoinsReadLog(reader);
  if (control >= 0) close(control);
  if (reader >= 0) close(reader);
  return usable;
}

// The version of a controller below whose directory this process can make groups.
uint32_t CgroupVersion(const CgroupPlaces& places, Controller controller) {
  const CgroupPlace& place = places.At(controller);
  if (place.version == 0) return 0;
  const std::string probe = place.directory + "/bulkhead-probe-" + std::to_string(getpid());
  if (mkdir(probe.c_str(), 0700) != 0) return 0;
  const bool writable = access((probe + "/cgroup.procs").c_str(), W_OK) == 0;
  rmdir(probe.c_str());
  return writable ? place.version : 0;
}

void ProbeCgroups(FeatureSet& features) {
  const CgroupPlaces places = FindCgroups();
  features.Set(Feature::kCgroupMemory, CgroupVersion(places, Controller::kMemory));
  features.Set(Feature::kCgroupPids, CgroupVersion(places, Controller::kPids));
  features.Set(Feature::kCgroupCpu, CgroupVersion(places, Controller::kCpu));
}

// "6.18.44-x": the two leading numbers.
void ReadRelease(std::string_view release, Target& target) {
  const char* end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, target.kernel_major);
  if (major.ec == std::errc() && major.ptr != end && *major.ptr == '.') {
    std::from_chars(major.ptr + 1, end, target.kernel_minor);
  }
}

struct Need {
  uint32_t capability;
  const char* name;
  const char* purpose;
  bool audit;
};

constexpr Need kNeeds[] = {
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "namespaces, mounts, tripwires", false},
    {CAP_SETUID, "CAP_SETUID", "a uid of its own for each component", false},
    {CAP_SETGID, "CAP_SETGID", "a gid and groups of its own for each component", false},
    {CAP_SETPCAP, "CAP_SETPCAP", "emptying the capability bounding set", false},
    {CAP_CHOWN, "CAP_CHOWN", "directories that belong to a component", false},
    {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", "reaching directories that belong to a component",
     false},
    {CAP_FOWNER, "CAP_FOWNER", "modes of directories that belong to a component", false},
    {CAP_KILL, "CAP_KILL", "stopping components", false},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "taking over seccomp listeners", false},
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", "an audit buffer that holds a flood", true},
    {CAP_AUDIT_CONTROL, "CAP_AUDIT_CONTROL", "switching on the kernel's audit", true},
    {CAP_AUDIT_READ, "CAP_AUDIT_READ", "reading Landlock's refusals", true},
};

bool HasCapability(const __user_cap_data_struct (&sets)[2], uint32_t capability) {
  return (sets[capability / 32].effective >> (capability % 32) & 1) != 0;
}

void AddMissingCapabilities(bool audit, std::vector<std::string>& missing) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  syscall(SYS_capget, &header, sets);
  for (const Need& need : kNeeds) {
    if ((need.audit && !audit) || HasCapability(sets, need.capability)) continue;
    missing.push_back(std::string(need.name) + ": for " + need.purpose);
  }
}

}  // namespace

FeatureSet ProbeKernel() {
  FeatureSet features;
  const auto set = [&features](Feature feature, bool there) {
    features.Set(feature, there ? 1 : 0);
  };
  features.Set(Feature::kLandlock, LandlockAbi());
  const bool notifies = HasNotify();
  set(Feature::kSeccompNotify, notifies);
  set(Feature::kSeccompWaitKillable,
      notifies && KnowsFilterFlags(kNewListener | kWaitKillableRecv));
  set(Feature::kSeccompSyncWake, notifies && HasSyncWake());
  set(Feature::kPidfd, HasPidfd());
  set(Feature::kCloseRange, HasCloseRange());
  set(Feature::kMountNamespace, HasNamespace(CLONE_NEWNS));
  set(Feature::kPidNamespace, HasNamespace(CLONE_NEWPID));
  set(Feature::kIpcNamespace, HasNamespace(CLONE_NEWIPC));
  set(Feature::kUtsNamespace, HasNamespace(CLONE_NEWUTS));
  set(Feature::kNetNamespace, HasNamespace(CLONE_NEWNET));
  set(Feature::kProcSubsetPid, HasProcSubset());
  set(Feature::kFanotifyPerm, HasFanotifyPermission());
  set(Feature::kLandlockAudit, HasLandlockAudit());
  ProbeCgroups(features);
  set(Feature::kConnectGuard, HasConnectGuard());
  set(Feature::kSeccompTrace, HasSeccompTrace());
  return features;
}

Target RunningTarget(std::string name) {
  Target target;
  target.name = std::move(name);
  target.arch = NativeArch();
  utsname system = {};
  if (uname(&system) == 0) ReadRelease(system.release, target);
  target.platform = access("/dev/nsm", F_OK) == 0         ? "nitro"
                    : access("/dev/tdx_guest", F_OK) == 0 ? "tdx"
                                                          : "none";
  target.features = ProbeKernel();
  return target;
}

bool DumpsToSocket(std::string_view core_pattern) { return core_pattern.starts_with('@'); }

std::vector<std::string> MissingPrivileges(bool audit) {
  std::vector<std::string> missing;
  if (DumpsToSocket(ReadSmallFile("/proc/sys/kernel/core_pattern"))) {
    missing.emplace_back(
        "a kernel.core_pattern without `@`: what crashes is sent to a socket, whatever its limit");
  }
  if (geteuid() != 0) missing.emplace_back("uid 0: for the supervisor's own files and sockets");
  AddMissingCapabilities(audit, missing);
  if (!HasNamespace(CLONE_NEWNS)) {
    missing.emplace_back("unshare and mount: for namespaces; a container's filter may refuse them");
  }
  if (!audit) return missing;
  if (!InInitialPidNamespace()) {
    missing.emplace_back("the initial PID namespace: for switching on the kernel's audit");
  } else if (!InInitialNetNamespace()) {
    missing.emplace_back("the initial network namespace: for reading the kernel's audit");
  }
  return missing;
}

}  // namespace bulkhead
