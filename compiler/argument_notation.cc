// SPDX-License-Identifier: Apache-2.0
#include "compiler/argument_notation.h"

#include <algorithm>
#include <string>

namespace bulkhead {
namespace {

// From one constant to another in the table's order, both included.
struct Run {
  std::string_view first;
  std::string_view last = first;
};

struct Row {
  std::string_view calls;
  std::string_view argument;
  std::string_view condition = {};
  std::string_view holds = {};
  std::vector<Run> values = {};
  std::vector<Run> flags = {};
  uint64_t field = 0;
  bool octal = false;
};

constexpr uint64_t kTypeField = 0xf;           // SOCK_TYPE_MASK, and MAP_TYPE
constexpr uint64_t kAccessField = 3;           // O_ACCMODE
constexpr uint64_t kSignalField = 0xff;        // CSIGNAL
constexpr uint64_t kPersonalityField = 0xff;   // PER_MASK
constexpr uint64_t kFutexField = 0x7f;         // the rest of FUTEX_CMD_MASK
constexpr uint64_t kFileTypeField = 0170000;   // S_IFMT
constexpr uint64_t kPolicyField = 0x3fffffff;  // all but SCHED_RESET_ON_FORK

constexpr Run kSignals{"SIGHUP", "SIGSYS"};
constexpr Run kAccess{"O_RDONLY", "O_RDWR"};
constexpr Run kOpenFlags{"O_CREAT", "O_TMPFILE"};
constexpr Run kSocketFlags{"SOCK_CLOEXEC", "SOCK_NONBLOCK"};
constexpr Run kCloneFlags{"CLONE_VM", "CLONE_CLEAR_SIGHAND"};
constexpr Run kInternet{"IPPROTO_IP", "IPPROTO_MPTCP"};
constexpr Run kIpcFlags{"IPC_CREAT", "IPC_NOWAIT"};
constexpr Run kAtFlags[] = {{"AT_SYMLINK_NOFOLLOW"}, {"AT_SYMLINK_FOLLOW", "AT_RECURSIVE"}};

// clang-format off
std::vector<Row> Rows() {
  return {
    // Sockets.
    {.calls = "socket socketpair", .argument = "domain", .values = {{"AF_UNSPEC", "AF_MCTP"}}},
    {.calls = "socket socketpair", .argument = "type", .values = {{"SOCK_STREAM", "SOCK_PACKET"}},
     .flags = {kSocketFlags}, .field = kTypeField},
    {.calls = "socket socketpair", .argument = "protocol", .condition = "domain",
     .holds = "AF_INET", .values = {kInternet}},
    {.calls = "socket socketpair", .argument = "protocol", .condition = "domain",
     .holds = "AF_INET6", .values = {kInternet}},
    {.calls = "socket socketpair", .argument = "protocol", .condition = "domain",
     .holds = "AF_NETLINK", .values = {{"NETLINK_ROUTE", "NETLINK_CRYPTO"}}},
    {.calls = "accept4", .argument = "flags", .flags = {kSocketFlags}},
    {.calls = "getsockopt setsockopt", .argument = "level",
     .values = {{"SOL_SOCKET", "SOL_VSOCK"}}},
    {.calls = "getsockopt setsockopt", .argument = "optname", .condition = "level",
     .holds = "SOL_SOCKET", .values = {{"SO_DEBUG", "SO_PEERPIDFD"}}},
    {.calls = "getsockopt setsockopt", .argument = "optname", .condition = "level",
     .holds = "SOL_TCP", .values = {{"TCP_NODELAY", "TCP_ULP"}}},
    {.calls = "getsockopt setsockopt", .argument = "optname", .condition = "level",
     .holds = "SOL_IP", .values = {{"IP_TOS", "IP_BIND_ADDRESS_NO_PORT"}}},
    {.calls = "getsockopt setsockopt", .argument = "optname", .condition = "level",
     .holds = "SOL_IPV6", .values = {{"IPV6_V6ONLY", "IPV6_RECVPKTINFO"}}},
    {.calls = "recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto", .argument = "flags",
     .flags = {{"MSG_OOB", "MSG_CMSG_CLOEXEC"}}},
    {.calls = "shutdown", .argument = "how", .values = {{"SHUT_RD", "SHUT_RDWR"}}},

    // Files and descriptors.
    {.calls = "", .argument = "dirfd", .values = {{"AT_FDCWD"}}},
    {.calls = "", .argument = "olddirfd", .values = {{"AT_FDCWD"}}},
    {.calls = "", .argument = "newdirfd", .values = {{"AT_FDCWD"}}},
    {.calls = "", .argument = "from_dirfd", .values = {{"AT_FDCWD"}}},
    {.calls = "", .argument = "to_dirfd", .values = {{"AT_FDCWD"}}},
    {.calls = "open open_by_handle_at openat", .argument = "flags", .values = {kAccess},
     .flags = {kOpenFlags}, .field = kAccessField},
    {.calls = "mq_open", .argument = "oflag", .values = {kAccess}, .flags = {kOpenFlags},
     .field = kAccessField},
    {.calls = "fanotify_init", .argument = "event_f_flags", .values = {kAccess},
     .flags = {kOpenFlags}, .field = kAccessField},
    {.calls = "dup3 pipe2 userfaultfd", .argument = "flags", .flags = {kOpenFlags}},
    {.calls = "mknod mknodat", .argument = "mode", .values = {{"S_IFSOCK", "S_IFIFO"}},
     .field = kFileTypeField, .octal = true},
    {.calls = "chmod creat fchmod fchmodat fchmodat2 mkdir mkdirat mq_open open openat",
     .argument = "mode", .octal = true},
    {.calls = "umask", .argument = "mask", .octal = true},
    {.calls = "access faccessat faccessat2", .argument = "mode", .values = {{"F_OK"}},
     .flags = {{"X_OK", "R_OK"}}},
    {.calls = "faccessat2", .argument = "flags",
     .flags = {kAtFlags[0], {"AT_EACCESS"}, kAtFlags[1]}},
    {.calls = "unlinkat", .argument = "flags", .flags = {{"AT_REMOVEDIR"}}},
    {.calls = "execveat", .argument = "flags",
     .flags = {kAtFlags[0], kAtFlags[1], {"AT_EXECVE_CHECK"}}},
    {.calls = "statx", .argument = "flags",
     .flags = {kAtFlags[0], kAtFlags[1], {"AT_STATX_FORCE_SYNC", "AT_STATX_DONT_SYNC"}}},
    {.calls = "fchmodat2 fchownat linkat name_to_handle_at newfstatat utimensat",
     .argument = "flags", .flags = {kAtFlags[0], kAtFlags[1]}},
    {.calls = "renameat2", .argument = "flags",
     .flags = {{"RENAME_NOREPLACE", "RENAME_WHITEOUT"}}},
    {.calls = "lseek", .argument = "whence", .values = {{"SEEK_SET", "SEEK_HOLE"}}},
    {.calls = "flock", .argument = "operation", .flags = {{"LOCK_SH", "LOCK_UN"}}},
    {.calls = "fallocate", .argument = "mode",
     .flags = {{"FALLOC_FL_KEEP_SIZE", "FALLOC_FL_INSERT_RANGE"}}},
    {.calls = "fadvise64", .argument = "advice",
     .values = {{"POSIX_FADV_NORMAL", "POSIX_FADV_NOREUSE"}}},
    {.calls = "fcntl", .argument = "cmd", .values = {{"F_DUPFD", "F_SET_FILE_RW_HINT"}}},
    {.calls = "fcntl", .argument = "arg", .condition = "cmd", .holds = "F_SETFD",
     .flags = {{"FD_CLOEXEC"}}},
    {.calls = "fcntl", .argument = "arg", .condition = "cmd", .holds = "F_SETFL",
     .values = {kAccess}, .flags = {kOpenFlags}, .field = kAccessField},
    {.calls = "ioctl", .argument = "request",
     .values = {{"FIONREAD", "FIOGETOWN"}, {"TCGETS", "TIOCVHANGUP"},
                {"SIOCSPGRP", "RNDADDENTROPY"}}},
    {.calls = "close_range", .argument = "flags",
     .flags = {{"CLOSE_RANGE_UNSHARE", "CLOSE_RANGE_CLOEXEC"}}},
    {.calls = "epoll_ctl", .argument = "op", .values = {{"EPOLL_CTL_ADD", "EPOLL_CTL_MOD"}}},
    {.calls = "epoll_create1", .argument = "flags", .flags = {{"EPOLL_CLOEXEC"}}},
    {.calls = "eventfd2", .argument = "flags", .flags = {{"EFD_SEMAPHORE", "EFD_NONBLOCK"}}},
    {.calls = "signalfd4", .argument = "flags", .flags = {{"SFD_CLOEXEC", "SFD_NONBLOCK"}}},
    {.calls = "inotify_init1", .argument = "flags", .flags = {{"IN_CLOEXEC", "IN_NONBLOCK"}}},

    // Memory.
    {.calls = "mmap mprotect pkey_mprotect", .argument = "prot", .values = {{"PROT_NONE"}},
     .flags = {{"PROT_READ", "PROT_MTE"}}},
    {.calls = "mmap", .argument = "flags", .values = {{"MAP_SHARED", "MAP_SHARED_VALIDATE"}},
     .flags = {{"MAP_FIXED", "MAP_UNINITIALIZED"}}, .field = kTypeField},
    {.calls = "mremap", .argument = "flags", .flags = {{"MREMAP_MAYMOVE", "MREMAP_DONTUNMAP"}}},
    {.calls = "msync", .argument = "flags", .flags = {{"MS_ASYNC", "MS_SYNC"}}},
    {.calls = "mlockall", .argument = "flags", .flags = {{"MCL_CURRENT", "MCL_ONFAULT"}}},
    {.calls = "mlock2", .argument = "flags", .flags = {{"MLOCK_ONFAULT"}}},
    {.calls = "madvise process_madvise", .argument = "advice",
     .values = {{"MADV_NORMAL", "MADV_GUARD_REMOVE"}}},
    {.calls = "memfd_create", .argument = "flags", .flags = {{"MFD_CLOEXEC", "MFD_EXEC"}}},

    // Processes.
    {.calls = "clone", .argument = "flags", .values = {kSignals}, .flags = {kCloneFlags},
     .field = kSignalField},
    {.calls = "unshare", .argument = "flags", .flags = {kCloneFlags}},
    {.calls = "setns", .argument = "nstype", .flags = {kCloneFlags}},
    {.calls = "kill pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo tgkill tkill",
     .argument = "sig", .values = {kSignals}},
    {.calls = "rt_sigaction", .argument = "signum", .values = {kSignals}},
    {.calls = "rt_sigprocmask", .argument = "how", .values = {{"SIG_BLOCK", "SIG_SETMASK"}}},
    {.calls = "wait4 waitid", .argument = "options", .flags = {{"WNOHANG", "WNOWAIT"}}},
    {.calls = "waitid", .argument = "idtype", .values = {{"P_ALL", "P_PIDFD"}}},
    // Those of PR_CAP_AMBIENT stand between them and have numbers of others.
    {.calls = "prctl", .argument = "option",
     .values = {{"PR_SET_PDEATHSIG", "PR_CAP_AMBIENT"}, {"PR_SVE_SET_VL", "PR_SET_VMA"},
                {"PR_SET_MDWE", "PR_RSEQ_SLICE_EXTENSION"}}},
    {.calls = "prctl", .argument = "arg2", .condition = "option", .holds = "PR_SET_PDEATHSIG",
     .values = {kSignals}},
    {.calls = "prctl", .argument = "arg2", .condition = "option", .holds = "PR_SET_SECCOMP",
     .values = {{"SECCOMP_MODE_STRICT", "SECCOMP_MODE_FILTER"}}},
    {.calls = "prctl", .argument = "arg2", .condition = "option", .holds = "PR_CAP_AMBIENT",
     .values = {{"PR_CAP_AMBIENT_IS_SET", "PR_CAP_AMBIENT_CLEAR_ALL"}}},
    {.calls = "arch_prctl", .argument = "op", .values = {{"ARCH_SET_GS", "ARCH_SHSTK_STATUS"}}},
    {.calls = "ptrace", .argument = "request",
     .values = {{"PTRACE_TRACEME", "PTRACE_INTERRUPT"}}},
    {.calls = "seccomp", .argument = "operation",
     .values = {{"SECCOMP_SET_MODE_STRICT", "SECCOMP_GET_NOTIF_SIZES"}}},
    {.calls = "seccomp", .argument = "flags", .condition = "operation",
     .holds = "SECCOMP_SET_MODE_FILTER",
     .flags = {{"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}}},
    {.calls = "personality", .argument = "persona", .values = {{"PER_LINUX"}},
     .flags = {{"ADDR_NO_RANDOMIZE", "UNAME26"}}, .field = kPersonalityField},
    {.calls = "keyctl", .argument = "operation",
     .values = {{"KEYCTL_GET_KEYRING_ID", "KEYCTL_WATCH_KEY"}}},
    {.calls = "futex", .argument = "futex_op", .values = {{"FUTEX_WAIT", "FUTEX_LOCK_PI2"}},
     .flags = {{"FUTEX_PRIVATE_FLAG", "FUTEX_CLOCK_REALTIME"}}, .field = kFutexField},
    {.calls = "membarrier", .argument = "cmd",
     .values = {{"MEMBARRIER_CMD_QUERY", "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ"}}},
    {.calls = "sched_setscheduler", .argument = "policy",
     .values = {{"SCHED_NORMAL", "SCHED_EXT"}}, .flags = {{"SCHED_RESET_ON_FORK"}},
     .field = kPolicyField},
    {.calls = "sched_get_priority_max sched_get_priority_min", .argument = "policy",
     .values = {{"SCHED_NORMAL", "SCHED_EXT"}}},
    {.calls = "getpriority setpriority", .argument = "which",
     .values = {{"PRIO_PROCESS", "PRIO_USER"}}},
    {.calls = "getrlimit prlimit64 setrlimit", .argument = "resource",
     .values = {{"RLIMIT_CPU", "RLIMIT_RTTIME"}}},
    {.calls = "getrusage", .argument = "who", .values = {{"RUSAGE_SELF", "RUSAGE_THREAD"}}},

    // Clocks, System V IPC and the rest.
    {.calls = "", .argument = "clockid", .values = {{"CLOCK_REALTIME", "CLOCK_TAI"}}},
    {.calls = "clock_nanosleep timer_settime timerfd_settime", .argument = "flags",
     .flags = {{"TIMER_ABSTIME"}}},
    {.calls = "timerfd_create", .argument = "flags", .flags = {{"TFD_CLOEXEC", "TFD_NONBLOCK"}}},
    {.calls = "getitimer setitimer", .argument = "which",
     .values = {{"ITIMER_REAL", "ITIMER_PROF"}}},
    {.calls = "msgget semget shmget", .argument = "key", .values = {{"IPC_PRIVATE"}}},
    {.calls = "msgctl semctl shmctl", .argument = "cmd", .values = {{"IPC_RMID", "IPC_INFO"}}},
    {.calls = "msgget msgrcv msgsnd", .argument = "msgflg", .flags = {kIpcFlags}, .octal = true},
    {.calls = "semget", .argument = "semflg", .flags = {kIpcFlags}, .octal = true},
    {.calls = "shmget", .argument = "shmflg", .flags = {kIpcFlags}, .octal = true},
    {.calls = "getrandom", .argument = "flags", .flags = {{"GRND_NONBLOCK", "GRND_INSECURE"}}},
    {.calls = "landlock_create_ruleset", .argument = "flags",
     .flags = {{"LANDLOCK_CREATE_RULESET_VERSION"}}},
  };
}
// clang-format on

// Empty: a run's ends are not in the table, or in the wrong order.
Constants Between(const Run& run) {
  const std::span<const Constant> all = AllConstants();
  const auto first = std::ranges::find(all, run.first, &Constant::name);
  const auto last =
      std::find_if(first, all.end(), [&](const Constant& one) { return one.name == run.last; });
  return last == all.end() ? Constants() : Constants(first, last + 1);
}

std::vector<Constants> Between(const std::vector<Run>& runs) {
  std::vector<Constants> found;
  found.reserve(runs.size());
  for (const Run& run : runs) found.push_back(Between(run));
  return found;
}

std::vector<Notation> AllNotations() {
  std::vector<Notation> notations;
  for (const Row& row : Rows()) {
    notations.push_back({row.calls, row.argument, row.condition, row.holds, Between(row.values),
                         Between(row.flags), row.field, row.octal});
  }
  return notations;
}

}  // namespace

std::span<const Notation> Notations() {
  static const std::vector<Notation> kNotations = AllNotations();
  return kNotations;
}

}  // namespace bulkhead
