// SPDX-License-Identifier: Apache-2.0
// Supervisors that decide about calls, and what happens between their look and the kernel's.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <new>
#include <thread>

#include "profiles/landlock.h"
#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

constexpr size_t kPath = 256;
using Path = std::array<char, kPath>;

// What supervisor and confined share: everything else they have is copied by fork.
struct Shared {
  std::atomic<int> seen;  // calls that the supervisor has taken, and not answered
  std::atomic<bool> slow;
  std::atomic<bool> go;
};

Shared& TheShared() {
  static Shared* const shared =
      new (mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
          Shared{};
  return *shared;
}

void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) poll(nullptr, 0, 1);
}

bool ReadPath(pid_t pid, uint64_t address, Path& path) {
  path.fill('\0');
  const iovec here{path.data(), path.size() - 1};
  const iovec there{Pointer(address), path.size() - 1};
  return process_vm_readv(pid, &here, 1, &there, 1, 0) > 0;
}

// The supervisor is started before the rule and gets the listener by its number.
void Supervise(const std::vector<Denial>& denials, void (*serve)(int listener, const Place& place),
               const Place& place) {
  const pid_t confined = getpid();
  std::array<int, 2> ends{};
  Needed(pipe2(ends.data(), O_CLOEXEC), "a pipe");
  StartDecoy([&] {
    if (fork() != 0) return;
    int number = -1;
    if (read(ends[0], &number, sizeof number) != sizeof number) _exit(1);
    const auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, confined, 0));
    serve(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, number, 0)), place);
    _exit(0);
  });
  const int listener = DenyByListener(denials);
  Needed(write(ends[1], &listener, sizeof listener), "to hand over the listener");
}

void Respond(int listener, uint64_t id, int error, uint32_t flags) {
  seccomp_notif_resp answer{id, 0, -error, flags};
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

// --- notification-pointer ------------------------------------------------------------------------

// Reads the path, and where it is a good one tells the kernel to go on, which reads it again.
void ServePaths(int listener, const Place& place) {
  for (seccomp_notif call{}; ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0; call = {}) {
    Path path;
    const bool good = ReadPath(static_cast<pid_t>(call.pid), call.data.args[1], path) &&
                      path.data() == place.granted;
    Respond(listener, call.id, good ? 0 : EPERM, good ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0);
  }
}

void PathsSupervised(Place& place) { Supervise({{SYS_openat, {}}}, ServePaths, place); }

Result OpensPlainly(const char* path) {
  const auto fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
  if (fd >= 0) close(fd);
  return Answer(fd);
}
Result OpensDecoy(Place& place) { return OpensPlainly(place.decoy.c_str()); }
Result OpensGranted(Place& place) { return OpensPlainly(place.granted.c_str()); }

// Opens a path that changes all the time, until what is opened is not what was granted.
Result FlipsPath(Place& place) {
  // Inside, where none may succeed, an end; else until one does, which is up to the scheduler.
  const int tries = place.self != 0 ? 20000 : 1 << 20;
  Path path{};
  std::atomic<bool> done = false;
  place.granted.copy(path.data(), kPath - 1);
  std::thread flipper([&] {
    Path good{};
    Path bad{};
    place.granted.copy(good.data(), kPath - 1);
    place.decoy.copy(bad.data(), kPath - 1);
    while (!done) {
      memcpy(path.data(), bad.data(), kPath);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      memcpy(path.data(), good.data(), kPath);
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  });
  struct stat granted {};
  Needed(stat(place.granted.c_str(), &granted), "stat");
  Result result = ENODATA;
  int good = 0;
  int refused = 0;
  // Until both paths were met, or nothing was tried.
  for (int i = 0; result != 0 && (i < tries || good == 0 || refused == 0); ++i) {
    const auto fd =
        static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.data(), O_RDONLY | O_CLOEXEC));
    if (fd < 0) {
      ++refused;
      continue;
    }
    ++good;
    struct stat opened {};
    fstat(fd, &opened);
    close(fd);
    if (opened.st_ino != granted.st_ino || opened.st_dev != granted.st_dev) result = 0;
  }
  done = true;
  flipper.join();
  return result;
}

// --- notification-reuse --------------------------------------------------------------------------

// Ends whoever made the call, by the number it had when it made it.
void ServeByNumber(int listener, const Place& /*place*/) {
  Shared& shared = TheShared();
  for (seccomp_notif call{}; ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0; call = {}) {
    shared.seen = static_cast<int>(call.pid);
    WaitUntil([&] { return !shared.slow || shared.go; });
    if (shared.slow) {
      kill(static_cast<pid_t>(call.pid), SIGKILL);
      shared.go = false;
    }
    Respond(listener, call.id, EPERM, 0);
  }
}

void CallersSupervised(Place& place) {
  TheShared();
  Supervise({{SYS_chroot, {}}}, ServeByNumber, place);
}

Result ChangesRoot(Place& /*place*/) { return Answer(chroot("/")); }

// A caller dies before it is judged, and an innocent process gets its number.
Result TakesNumber(Place& place) {
  Shared& shared = TheShared();
  shared.slow = true;
  const pid_t caller = fork();
  if (caller == 0) {
    static_cast<void>(ChangesRoot(place));
    _exit(0);
  }
  WaitUntil([&] { return shared.seen == caller; });
  kill(caller, SIGKILL);
  waitpid(caller, nullptr, 0);
  std::ofstream("/proc/sys/kernel/ns_last_pid") << caller - 1;
  const pid_t innocent = fork();
  if (innocent == 0) {
    for (;;) pause();
  }
  if (innocent != caller) return EAGAIN;
  shared.go = true;
  int status = 0;
  for (int i = 0; i < 2000; ++i) {
    if (waitpid(innocent, &status, WNOHANG) == innocent) {
      return WIFSIGNALED(status) ? 0 : ECHILD;
    }
    poll(nullptr, 0, 1);
  }
  return ETIMEDOUT;
}

// --- records-own-filter --------------------------------------------------------------------------

// Refuses what it is asked about and counts it, which is its record.
void ServeCounting(int listener, const Place& /*place*/) {
  for (seccomp_notif call{}; ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0; call = {}) {
    ++TheShared().seen;
    Respond(listener, call.id, EPERM, 0);
  }
}

void RootsRecorded(Place& place) {
  TheShared();
  Supervise({{SYS_chroot, {}}}, ServeCounting, place);
}

// Is refused by a filter of its own: the lower number of the two actions is taken (seccomp(2)).
Result RefusesItself(Result (*load)(const sock_fprog& filter)) {
  std::array<sock_filter, 4> program{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_chroot, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const int before = TheShared().seen;
  if (const Result result = load({program.size(), program.data()}); result != 0) return result;
  if (chroot("/") == 0) Broken("a call that is refused");
  return TheShared().seen == before ? 0 : EPERM;
}

Result LoadsBySeccomp(const sock_fprog& filter) {
  return Answer(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter));
}
Result LoadsByPrctl(const sock_fprog& filter) {
  return Answer(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
}
Result FilterBySeccomp(Place& /*place*/) { return RefusesItself(LoadsBySeccomp); }
Result FilterByPrctl(Place& /*place*/) { return RefusesItself(LoadsByPrctl); }

// --- records-own-domain --------------------------------------------------------------------------

// An empty domain below the first one, whose denials come first.
Result MakesDomain(Place& /*place*/) {
  const uint64_t files = landlock::kReadFile;
  const auto ruleset =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &files, sizeof files, 0));
  // Where there is none the call itself still says whether it is made.
  return Answer(syscall(SYS_landlock_restrict_self, ruleset, 0));
}

// --- supervisor-stopped --------------------------------------------------------------------------

// A tracer that refuses by skipping the call; it dies where it is told to.
void ServeStops(pid_t confined, const Place& place) {
  Shared& shared = TheShared();
  for (int status = 0; waitpid(confined, &status, __WALL) == confined;) {
    if (!WIFSTOPPED(status)) return;
    int pass = WSTOPSIG(status);
    if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8))) {
      pass = 0;
      user_regs_struct registers{};
      iovec set{&registers, sizeof registers};
      ptrace(PTRACE_GETREGSET, confined, 1, &set);
#if defined(__x86_64__)
      const uint64_t address = registers.rsi;
#else
      const uint64_t address = registers.regs[1];
#endif
      Path path;
      ReadPath(confined, address, path);
      if (path.data() == place.decoy) {
        if (shared.slow) {
          shared.seen = getpid();
          for (;;) pause();
        }
#if defined(__x86_64__)
        registers.orig_rax = static_cast<uint64_t>(-1);
        registers.rax = static_cast<uint64_t>(-EPERM);
        ptrace(PTRACE_SETREGSET, confined, 1, &set);
#else
        constexpr int kNtArmSystemCall = 0x404;
        int none = -1;
        iovec number{&none, sizeof none};
        registers.regs[0] = static_cast<uint64_t>(-EPERM);
        ptrace(PTRACE_SETREGSET, confined, 1, &set);
        ptrace(PTRACE_SETREGSET, confined, kNtArmSystemCall, &number);
#endif
      }
    }
    ptrace(PTRACE_CONT, confined, 0, pass);
  }
}

void Traced(Place& place) {
  TheShared();
  const pid_t confined = getpid();
  StartDecoy([&] {
    std::array<int, 2> ends{};
    Needed(pipe2(ends.data(), O_CLOEXEC), "a pipe");
    if (fork() == 0) {
      Needed(ptrace(PTRACE_SEIZE, confined, 0, PTRACE_O_TRACESECCOMP), "to trace");
      Needed(write(ends[1], "", 1), "to say so");
      ServeStops(confined, place);
      _exit(0);
    }
    char byte = 0;
    if (read(ends[0], &byte, 1) != 1) _exit(1);
  });
  DenyByTracer({{SYS_openat, {}}});
}

// Somebody else ends the supervisor while the call waits for it.
Result OutlivesTracer(Place& place) {
  Shared& shared = TheShared();
  shared.slow = true;
  const pid_t accomplice = fork();
  if (accomplice == 0) {
    WaitUntil([&] { return shared.seen != 0; });
    kill(shared.seen, SIGKILL);
    _exit(0);
  }
  const Result result = OpensDecoy(place);
  waitpid(accomplice, nullptr, 0);
  return result;
}

// --- policy-empty --------------------------------------------------------------------------------

// A launcher that installs what its policy says, and nothing where it says nothing.
void ByPolicy(Place& place) {
  std::ifstream policy(place.policy);
  std::vector<Denial> denials;
  for (std::string line; std::getline(policy, line);) {
    if (line == "deny socket") denials.push_back({SYS_socket, {}});
  }
  if (!denials.empty()) Deny(denials);
}

void WritePolicy(Place& place) { WriteFile(place.policy, "deny socket\n"); }
void EmptyPolicy(Place& place) { WriteFile(place.policy, ""); }
void NoPolicy(Place& place) { Needed(unlink(place.policy.c_str()), "unlink"); }

}  // namespace

std::vector<HalfRule> SupervisorRules() {
  return {
      {"notification-pointer",
       nullptr,
       PathsSupervised,
       {{"open", OpensDecoy, nullptr, true}},
       {"open-granted", OpensGranted},
       {{"flip", FlipsPath}}},
      {"notification-reuse",
       nullptr,
       CallersSupervised,
       {{"chroot", ChangesRoot}},
       {"read", ReadsGranted},
       {{"number", TakesNumber, nullptr, true}}},
      {"records-own-filter",
       nullptr,
       RootsRecorded,
       {{"chroot", ChangesRoot}},
       {"read", ReadsGranted},
       {{"seccomp", FilterBySeccomp}, {"prctl", FilterByPrctl}}},
      {"records-own-domain",
       nullptr,
       DenyAllFiles,
       {{"open", ReadsDecoy}},
       {"read", ReadsGranted},
       {{"restrict", MakesDomain}}},
      {"supervisor-stopped",
       nullptr,
       Traced,
       {{"open", OpensDecoy, nullptr, true}},
       {"open-granted", OpensGranted},
       {{"killed", OutlivesTracer, nullptr, true}}},
      {"policy-empty",
       WritePolicy,
       ByPolicy,
       {{"socket", MakesSocket, nullptr, true}},
       {"read", ReadsGranted},
       {{"empty", MakesSocket, EmptyPolicy, true}, {"absent", MakesSocket, NoPolicy, true}}},
  };
}

}  // namespace bulkhead::attacks
