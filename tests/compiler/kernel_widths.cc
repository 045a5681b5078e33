// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/kernel_widths.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>

#include "sandbox/kernel.h"
#include "tests/compiler/kernel_cell.h"

namespace bulkhead::testing {
namespace {

constexpr long kNoSuchProcess = 0x7ffffffe;  // above PID_MAX_LIMIT
constexpr uint64_t kUnknown = 9999;          // no level, option, advice
constexpr uint64_t kLowAddress = 0x10000000;
constexpr long kNotReady = -9999;  // no result of a call

volatile std::sig_atomic_t broken_pipes = 0;
void CountBrokenPipe(int /*signal*/) { broken_pipes = broken_pipes + 1; }

}  // namespace

// Made in the child; `ready` says whether all could be.
struct Objects {
  Objects() {
    struct sigaction action = {};
    action.sa_handler = CountBrokenPipe;
    sigaction(SIGPIPE, &action, nullptr);
    umask(0);
    close(open("b", O_RDWR | O_CREAT, 0600));
    file = open("a", O_RDWR | O_CREAT, 0600);
    ready = file >= 0 && pipe(filled.data()) == 0 && pipe(scratch.data()) == 0 &&
            write(filled[1], "xyz", 3) == 3 && fcntl(filled[0], F_SETFD, FD_CLOEXEC) == 0 &&
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()) == 0 &&
            socketpair(AF_UNIX, SOCK_STREAM, 0, broken.data()) == 0 && close(broken[1]) == 0 &&
            page != MAP_FAILED && low != MAP_FAILED;
  }

  RealKernel kernel;
  bool ready = false;
  int file = -1;                // "a"
  std::array<int, 2> filled{};  // a pipe with three bytes, close-on-exec
  std::array<int, 2> scratch{};
  std::array<int, 2> pair{};
  std::array<int, 2> broken{};  // a socket whose peer is gone
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* low = mmap(std::bit_cast<void*>(kLowAddress), 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
};

namespace {

long IntOr(long result, int value) { return result < 0 ? result : value; }

long ModeOfA(long result) {
  struct stat info = {};
  return result < 0 || stat("a", &info) != 0 ? result : static_cast<long>(info.st_mode & 07777);
}

// Closes a descriptor; 0 for success.
long Closed(long fd) {
  if (fd >= 0) close(static_cast<int>(fd));
  return std::min(fd, 0L);
}

long TypeOf(Objects& o, long fd) {
  int type = 0;
  socklen_t size = sizeof type;
  if (fd < 0) return fd;
  o.kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
  close(static_cast<int>(fd));
  return type;
}

long PairTypeOf(Objects& o, long result, const std::array<int, 2>& fds) {
  if (result < 0) return result;
  close(fds[1]);
  return TypeOf(o, fds[0]);
}

// How many SIGPIPE a send raised that found its peer gone.
long RaisedBy(long result, int before) {
  return result == -EPIPE ? broken_pipes - before : kNotReady;
}

// How many bytes a receive left, of one.
long LeftBy(Objects& o, long result) {
  int left = 0;
  ioctl(o.pair[0], FIONREAD, &left);
  char byte = 0;
  while (read(o.pair[0], &byte, 1) == 1) {
  }
  return result == 1 ? left : kNotReady;
}

msghdr Message(iovec& part) {
  static char byte = 'x';
  part = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  return message;
}

long Fcntl(Objects& o, uint64_t cmd) { return o.kernel(SYS_fcntl, o.filled[0], cmd, 0); }

long LockAt(Objects& o, uint64_t address) {
  auto* lock = static_cast<struct flock*>(o.low);
  *lock = {};
  lock->l_type = F_WRLCK;
  return o.kernel(SYS_fcntl, o.file, F_GETLK, address);
}

long OwnerSetTo(Objects& o, uint64_t pid) {
  const long result = o.kernel(SYS_fcntl, o.pair[0], F_SETOWN, pid);
  return IntOr(result, fcntl(o.pair[0], F_GETOWN));
}

long Ioctl(Objects& o, uint64_t request) {
  std::array<int, 16> answer{};
  const long result = o.kernel(SYS_ioctl, o.filled[0], request, answer.data());
  return IntOr(result, answer[0]);
}

long Rename(Objects& o, uint64_t flags) {
  return o.kernel(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", flags);
}

#ifdef SYS_chmod
long Chmod(Objects& o, uint64_t mode) { return ModeOfA(o.kernel(SYS_chmod, "a", mode)); }
#endif
long Fchmod(Objects& o, uint64_t mode) { return ModeOfA(o.kernel(SYS_fchmod, o.file, mode)); }
long Fchmodat(Objects& o, uint64_t mode) {
  return ModeOfA(o.kernel(SYS_fchmodat, AT_FDCWD, "a", mode));
}
long Fchmodat2(Objects& o, uint64_t mode) {
  constexpr long kNumber = 452;  // on every architecture
  return ModeOfA(o.kernel(kNumber, AT_FDCWD, "a", mode, 0));
}

// Whether the mapping can be read.
long Map(Objects& o, uint64_t prot) {
  const long address = o.kernel(SYS_mmap, 0, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address < 0 && address > -4096) return address;
  const long written = o.kernel(SYS_write, o.scratch[1], address, 1);
  char byte = 0;
  if (written == 1) o.kernel(SYS_read, o.scratch[0], &byte, 1);
  o.kernel(SYS_munmap, address, 4096);
  return written;
}

long MapBy(Objects& o, uint64_t flags) {
  const long address = o.kernel(SYS_mmap, 0, 4096, PROT_READ, flags, -1, 0);
  if (address < 0 && address > -4096) return address;
  o.kernel(SYS_munmap, address, 4096);
  return 0;
}

long Protect(Objects& o, uint64_t prot) { return o.kernel(SYS_mprotect, o.page, 4096, prot); }
long Advise(Objects& o, uint64_t advice) { return o.kernel(SYS_madvise, o.page, 4096, advice); }
long Option(Objects& o, uint64_t option) { return o.kernel(SYS_prctl, option, 0, 0, 0, 0); }
long Dumpable(Objects& o, uint64_t value) {
  return o.kernel(SYS_prctl, PR_SET_DUMPABLE, value, 0, 0, 0);
}
long NameOfPage(Objects& o, uint64_t what) {
  return o.kernel(SYS_prctl, 0x53564d41 /* PR_SET_VMA */, what, o.page, 4096, nullptr);
}

long Clone(Objects& o, uint64_t flags) {
  const long pid = o.kernel(SYS_clone, flags, 0, 0, 0, 0);
  if (pid == 0) o.kernel(SYS_exit_group, 0);
  if (pid > 0) waitpid(static_cast<pid_t>(pid), nullptr, __WALL);
  return std::min(pid, 0L);
}

long Pipe(Objects& o, uint64_t flags) {
  std::array<int, 2> ends{};
  const long result = o.kernel(SYS_pipe2, ends.data(), flags);
  if (result < 0) return result;
  const int of_first = fcntl(ends[0], F_GETFD);
  for (const int end : ends) close(end);
  return of_first;
}

long Sendto(Objects& o, uint64_t flags) {
  const int before = broken_pipes;
  return RaisedBy(o.kernel(SYS_sendto, o.broken[0], "x", 1, flags, nullptr, 0), before);
}
long Sendmsg(Objects& o, uint64_t flags) {
  iovec part{};
  const msghdr message = Message(part);
  const int before = broken_pipes;
  return RaisedBy(o.kernel(SYS_sendmsg, o.broken[0], &message, flags), before);
}
long Recvfrom(Objects& o, uint64_t flags) {
  char byte = 0;
  if (write(o.pair[1], "x", 1) != 1) return kNotReady;
  return LeftBy(o, o.kernel(SYS_recvfrom, o.pair[0], &byte, 1, flags, nullptr, nullptr));
}
long Recvmsg(Objects& o, uint64_t flags) {
  iovec part{};
  msghdr message = Message(part);
  if (write(o.pair[1], "x", 1) != 1) return kNotReady;
  return LeftBy(o, o.kernel(SYS_recvmsg, o.pair[0], &message, flags));
}

long GetLevel(Objects& o, uint64_t level) {
  int type = 0;
  socklen_t size = sizeof type;
  return IntOr(o.kernel(SYS_getsockopt, o.pair[0], level, SO_TYPE, &type, &size), type);
}
long SetAt(Objects& o, uint64_t level, uint64_t name) {
  const int on = 1;
  return o.kernel(SYS_setsockopt, o.pair[0], level, name, &on, sizeof on);
}
long SetLevel(Objects& o, uint64_t level) { return SetAt(o, level, SO_KEEPALIVE); }
long SetName(Objects& o, uint64_t name) { return SetAt(o, SOL_SOCKET, name); }

long LimitsOf(Objects& o, uint64_t pid) {
  rlimit limit{};
  return o.kernel(SYS_prlimit64, pid, RLIMIT_CORE, nullptr, &limit);
}
#ifdef SYS_arch_prctl
long ThreadStorage(Objects& o, uint64_t op) {
  return o.kernel(SYS_arch_prctl, op, UINT64_MAX - 7);  // no address: EPERM
}
#endif
long PriorityWhich(Objects& o, uint64_t which) { return o.kernel(SYS_setpriority, which, 0, 19); }
long PriorityWho(Objects& o, uint64_t who) {
  return o.kernel(SYS_setpriority, PRIO_PROCESS, who, 19);
}
long Affinity(Objects& o, uint64_t pid) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  return o.kernel(SYS_sched_setaffinity, pid, sizeof cpus, &cpus);
}

long SocketDomain(Objects& o, uint64_t domain) {
  return Closed(o.kernel(SYS_socket, domain, SOCK_STREAM, 0));
}
long SocketType(Objects& o, uint64_t type) {
  return TypeOf(o, o.kernel(SYS_socket, AF_UNIX, type, 0));
}
long SocketProtocol(Objects& o, uint64_t protocol) {
  return Closed(o.kernel(SYS_socket, AF_UNIX, SOCK_STREAM, protocol));
}
long Pair(Objects& o, uint64_t domain, uint64_t type, uint64_t protocol) {
  std::array<int, 2> fds{};
  return PairTypeOf(o, o.kernel(SYS_socketpair, domain, type, protocol, fds.data()), fds);
}
long PairDomain(Objects& o, uint64_t domain) { return Pair(o, domain, SOCK_STREAM, 0); }
long PairType(Objects& o, uint64_t type) { return Pair(o, AF_UNIX, type, 0); }
long PairProtocol(Objects& o, uint64_t protocol) { return Pair(o, AF_UNIX, SOCK_STREAM, protocol); }

constexpr WidthRow kRows[] = {
#ifdef SYS_arch_prctl
    {"arch_prctl", "op", Above::kNothing, ThreadStorage, 0x1002 /* ARCH_SET_FS */, kUnknown},
#endif
#ifdef SYS_chmod
    {"chmod", "mode", Above::kNothing, Chmod, 0640, 0600},
#endif
    {"clone", "flags", Above::kNothing, Clone, SIGCHLD, SIGCHLD | CLONE_SIGHAND},
    {"fchmod", "mode", Above::kNothing, Fchmod, 0640, 0600},
    {"fchmodat", "mode", Above::kNothing, Fchmodat, 0640, 0600},
    {"fchmodat2", "mode", Above::kNothing, Fchmodat2, 0640, 0600},
    {"fcntl", "arg", Above::kCount, LockAt, kLowAddress, 8},
    {"fcntl", "arg", Above::kSpare, OwnerSetTo, 1, 0},
    {"fcntl", "cmd", Above::kNothing, Fcntl, F_GETFD, F_GETFL},
    {"getsockopt", "level", Above::kNothing, GetLevel, SOL_SOCKET, kUnknown},
    {"ioctl", "request", Above::kNothing, Ioctl, FIONREAD, TCGETS},
    {"madvise", "advice", Above::kNothing, Advise, MADV_NORMAL, kUnknown},
    {"mmap", "flags", Above::kSpare, MapBy, MAP_PRIVATE | MAP_ANONYMOUS, MAP_ANONYMOUS},
    {"mmap", "prot", Above::kSpare, Map, PROT_READ, PROT_NONE},
    {"mprotect", "prot", Above::kCount, Protect, PROT_READ, 0x100},
    {"pipe2", "flags", Above::kNothing, Pipe, O_CLOEXEC, 0},
    {"prctl", "arg2", Above::kCount, Dumpable, 1, 2},
    {"prctl", "arg2", Above::kCount, NameOfPage, 0 /* PR_SET_VMA_ANON_NAME */, kUnknown, true},
    {"prctl", "option", Above::kNothing, Option, PR_GET_NO_NEW_PRIVS, PR_GET_KEEPCAPS},
    {"prlimit64", "pid", Above::kNothing, LimitsOf, 0, kNoSuchProcess},
    {"recvfrom", "flags", Above::kNothing, Recvfrom, MSG_PEEK, 0},
    {"recvmsg", "flags", Above::kNothing, Recvmsg, MSG_PEEK, 0},
    {"renameat2", "flags", Above::kNothing, Rename, RENAME_NOREPLACE, 0x100},
    {"sched_setaffinity", "pid", Above::kNothing, Affinity, 0, kNoSuchProcess},
    {"sendmsg", "flags", Above::kNothing, Sendmsg, MSG_NOSIGNAL, 0},
    {"sendto", "flags", Above::kNothing, Sendto, MSG_NOSIGNAL, 0},
    {"setpriority", "which", Above::kNothing, PriorityWhich, PRIO_PROCESS, kUnknown},
    {"setpriority", "who", Above::kNothing, PriorityWho, 0, kNoSuchProcess},
    {"setsockopt", "level", Above::kNothing, SetLevel, SOL_SOCKET, kUnknown},
    {"setsockopt", "optname", Above::kNothing, SetName, SO_KEEPALIVE, kUnknown},
    {"socket", "domain", Above::kNothing, SocketDomain, AF_UNIX, kUnknown},
    {"socket", "protocol", Above::kNothing, SocketProtocol, 0, kUnknown},
    {"socket", "type", Above::kNothing, SocketType, SOCK_STREAM, SOCK_DGRAM},
    {"socketpair", "domain", Above::kNothing, PairDomain, AF_UNIX, kUnknown},
    {"socketpair", "protocol", Above::kNothing, PairProtocol, 0, kUnknown},
    {"socketpair", "type", Above::kNothing, PairType, SOCK_STREAM, SOCK_DGRAM},
};

}  // namespace

std::span<const WidthRow> WidthRows() { return kRows; }

std::vector<std::vector<long>> ObserveWidths(const std::vector<std::vector<uint64_t>>& values) {
  size_t count = 0;
  for (const auto& of_row : values) count += of_row.size();
  const SharedArray<long> results(count);
  const SharedArray<bool> ready(1);
  const KernelCell cell;
  const int end = KernelCell::End(cell.Start([&] {
    Objects objects;
    ready[0] = objects.ready;
    for (size_t row = 0, at = 0; row < values.size(); ++row) {
      for (const uint64_t value : values[row]) {
        results[at++] = kRows[row].observe(objects, value);
      }
    }
  }));
  if (end != 0 || !ready[0]) throw std::runtime_error("end " + std::to_string(end));
  std::vector<std::vector<long>> observed;
  for (size_t row = 0, at = 0; row < values.size(); ++row) {
    for (size_t i = 0; i < values[row].size(); ++i) {
      if (i == 0) observed.emplace_back();
      observed.back().push_back(results[at++]);
    }
  }
  return observed;
}

}  // namespace bulkhead::testing
