// SPDX-License-Identifier: Apache-2.0
// Rules on system calls, and calls with other numbers, other widths, other doors.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tests/attacks/attacks.h"
#include "tests/attacks/ring.h"
#include "tests/attacks/vsock.h"

namespace bulkhead::attacks {
namespace {

// Newer than Debian 12's headers.
constexpr long kFchmodat2 = 452;
constexpr long kOpenTreeAttr = 467;
constexpr uint64_t kHigh = uint64_t{1} << 32;
constexpr unsigned kX32 = 0x40000000;

void NoSockets(Place& /*place*/) { Deny({{SYS_socket, {}}}); }

Result Ends(pid_t child) {
  if (child < 0) return errno;
  int status = 0;
  if (waitpid(child, &status, __WALL) != child) return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// --- calls-io-uring, calls-ia32, calls-x32 -------------------------------------------------------

Result SocketByRing(Place& place) {
  const int ring = SetUpRing(place.ring);
  return ring < 0 ? errno : MakesSocketByRing(ring, place.ring, AF_INET);
}

#if defined(__x86_64__)
// By the ia32 table; its pointers have 32 bits.
Result Ia32(long number, long first, const std::array<uint32_t, 3>& words) {
  void* const low =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) return errno;
  memcpy(low, words.data(), sizeof words);
  long value = number;
  __asm__ volatile("int $0x80"
                   : "+a"(value)
                   : "b"(first), "c"(number == 102 ? reinterpret_cast<long>(low) : long{words[1]}),
                     "d"(long{words[2]})
                   : "memory", "r8", "r9", "r10", "r11");
  const auto answer = static_cast<int32_t>(value);
  return answer < 0 ? -answer : 0;
}

Result Ia32Socketcall(Place& /*place*/) { return Ia32(102, 1, {AF_INET, SOCK_STREAM, 0}); }
Result Ia32Vsock(Place& /*place*/) { return Ia32(102, 1, {AF_VSOCK, SOCK_STREAM, 0}); }
Result Ia32Socket(Place& /*place*/) { return Ia32(359, AF_INET, {AF_INET, SOCK_STREAM, 0}); }
#else
// Only another program comes to the other table; the family and what calls it as CompatProgram has
// them.
Result Compat(const Place& place, int family, const char* how) {
  return Runs(place.compat, {static_cast<char>('0' + family) + std::string(how)});
}

Result Ia32Socketcall(Place& place) { return Compat(place, AF_INET, "c"); }
Result Ia32Vsock(Place& place) { return Compat(place, AF_VSOCK, ""); }
Result Ia32Socket(Place& place) { return Compat(place, AF_INET, ""); }
#endif

Result X32Socket(Place& /*place*/) {
  return Answer(syscall(static_cast<long>(kX32 | SYS_socket), AF_INET, SOCK_STREAM, 0));
}

// --- calls-high-bits, calls-low-bits -------------------------------------------------------------

void WholeRegisters(Place& /*place*/) {
  Deny({{SYS_ioctl, {{Test::Kind::kEquals64, 1, FIONREAD}}},
        {SYS_socket, {{Test::Kind::kEquals64, 0, AF_VSOCK}}}});
}

Result Ioctl(uint64_t request) {
  std::array<int, 2> ends{};
  Needed(pipe(ends.data()), "a pipe");
  int size = 0;
  return Answer(syscall(SYS_ioctl, ends[0], request, &size));
}

Result AsksPipe(Place& /*place*/) { return Ioctl(FIONREAD); }
Result AsksPipeHigh(Place& /*place*/) { return Ioctl(FIONREAD | kHigh); }
Result MakesVsock(Place& /*place*/) {
  return Answer(syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0));
}
Result MakesVsockHigh(Place& /*place*/) {
  return Answer(syscall(SYS_socket, AF_VSOCK | kHigh, SOCK_STREAM, 0));
}
constexpr uint32_t kVsockPort = 40000;

void ListenOnVsock(Place& /*place*/) {
  if (InOwnGuest()) Needed(ListenVsock(kVsockPort), "a vsock listener");
}
// Outside of a guest it ends with the socket: who has one could connect it.
Result ConnectsVsock(Place& /*place*/) {
  const auto fd = static_cast<int>(syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0));
  if (fd < 0) return errno;
  // What says so may not be in the view: then the connection itself is not tried.
  return InOwnGuest() ? Answer(ConnectVsock(fd, kVsockPort)) : 0;
}
Result MakesVsockDatagram(Place& /*place*/) {
  return Answer(syscall(SYS_socket, AF_VSOCK, SOCK_SEQPACKET, 0));
}

constexpr uint32_t kLargest = 1 << 20;
constexpr uint32_t kFurthest = 4096;

void LowHalves(Place& /*place*/) {
  Deny({{SYS_mmap, {{Test::Kind::kAbove32, 1, kLargest}}},
        {SYS_lseek, {{Test::Kind::kAbove32, 1, kFurthest}}}});
}

Result Maps(size_t size) {
  void* const at =
      mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? errno : 0;
}
Result Seeks(const Place& place, off_t offset) {
  const int fd = open(place.granted.c_str(), O_RDONLY | O_CLOEXEC);
  return fd < 0 ? errno : Answer(lseek(fd, offset, SEEK_SET));
}
Result MapsMuch(Place& /*place*/) { return Maps(size_t{kLargest} + 4096); }
Result MapsMore(Place& /*place*/) { return Maps(kHigh + 4096); }
Result SeeksFar(Place& place) { return Seeks(place, kFurthest + 1); }
Result SeeksFurther(Place& place) { return Seeks(place, static_cast<off_t>(kHigh + 1)); }
Result MapsAndSeeksLittle(Place& place) {
  const Result mapped = Maps(4096);
  return mapped != 0 ? mapped : Seeks(place, 1);
}

// --- calls-newer ---------------------------------------------------------------------------------

void OldList(Place& /*place*/) {
  Deny({
    {SYS_clone, {}},
#if defined(SYS_open)
        {SYS_open, {}}, {SYS_fork, {}}, {SYS_vfork, {}}, {SYS_chmod, {}},
#endif
        {SYS_openat, {}}, {SYS_fchmodat, {}}, {SYS_fchmod, {}}, {SYS_mount, {}}, {
      SYS_open_tree, {}
    }
  });
}

Result Clones(uint64_t flags, Result (*child)() = nullptr) {
  const auto pid = static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
  if (pid == 0) _exit(child == nullptr ? 0 : child());
  return Ends(pid);
}
Result Clones3(uint64_t flags) {
  clone_args args{};
  args.flags = flags;
  args.exit_signal = SIGCHLD;
  const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) _exit(0);
  return Ends(pid);
}

Result Forks(Place& /*place*/) { return Clones(0); }
Result Forks3(Place& /*place*/) { return Clones3(0); }
Result Opens(Place& place) {
  return Answer(syscall(SYS_openat, AT_FDCWD, place.decoy.c_str(), O_RDONLY, 0));
}
Result Opens2(Place& place) {
  const open_how how{};
  return Answer(syscall(SYS_openat2, AT_FDCWD, place.decoy.c_str(), &how, sizeof how));
}
Result Mode(Place& place) {
  return Answer(syscall(SYS_fchmodat, AT_FDCWD, place.granted.c_str(), 0644));
}
Result Mode2(Place& place) {
  return Answer(syscall(kFchmodat2, AT_FDCWD, place.granted.c_str(), 0644, 0));
}
Result Remounts(Place& /*place*/) {
  return Answer(mount(nullptr, "/proc", nullptr, MS_REMOUNT | MS_BIND | MS_NODEV, nullptr));
}
Result RemountsByAttribute(Place& /*place*/) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NODEV;
  return Answer(syscall(SYS_mount_setattr, AT_FDCWD, "/proc", 0, &attributes, sizeof attributes));
}
Result CopiesTree(Place& /*place*/) {
  return Answer(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE));
}
Result CopiesTreeByAttribute(Place& /*place*/) {
  mount_attr attributes{};
  return Answer(
      syscall(kOpenTreeAttr, AT_FDCWD, "/", OPEN_TREE_CLONE, &attributes, sizeof attributes));
}

// --- calls-clone3-flags, calls-user-namespace ----------------------------------------------------

void NoUserNamespace(Place& /*place*/) {
  Deny({{SYS_clone, {{Test::Kind::kBits32, 0, CLONE_NEWUSER}}},
        {SYS_unshare, {{Test::Kind::kBits32, 0, CLONE_NEWUSER}}}});
}

Result ClonesUser(Place& /*place*/) { return Clones(CLONE_NEWUSER); }
Result UnsharesUser(Place& /*place*/) { return Answer(unshare(CLONE_NEWUSER)); }
Result Clones3User(Place& /*place*/) { return Clones3(CLONE_NEWUSER); }

Result Names() { return Answer(sethostname("half-rules", 10)); }
Result NamesHost(Place& /*place*/) { return Names(); }
Result NamesHostUnshared(Place& /*place*/) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWUTS) != 0) return errno;
  return Names();
}
Result NamesHostCloned(Place& /*place*/) { return Clones(CLONE_NEWUSER | CLONE_NEWUTS, Names); }

// --- terminal-tiocsti-tioclinux ------------------------------------------------------------------

void OwnTerminal(Place& place) {
  int master = -1;
  std::array<char, 64> name{};
  Needed(openpty(&master, &place.terminal, name.data(), nullptr, nullptr), "a terminal");
  place.terminal_path = name.data();
  Needed(setsid(), "a session");
  Needed(ioctl(place.terminal, TIOCSCTTY, 0), "a controlling terminal");
}

Result OpensTerminal(Place& place) { return Answer(open(place.terminal_path.c_str(), O_RDWR)); }
Result PushesInput(Place& place) {
  const char typed = '\n';
  return Answer(syscall(SYS_ioctl, place.terminal, TIOCSTI, &typed));
}
Result AsksConsole(Place& place) {
  char shift_state = 6;
  return Answer(syscall(SYS_ioctl, place.terminal, TIOCLINUX, &shift_state));
}

// --- sockets-niche, kernel-entry -----------------------------------------------------------------

void NoInternet(Place& /*place*/) {
  Deny({{SYS_socket, {{Test::Kind::kEquals64, 0, AF_INET}}},
        {SYS_socket, {{Test::Kind::kEquals64, 0, AF_INET6}}}});
}

Result MakesCrypto(Place& /*place*/) { return Answer(socket(AF_ALG, SOCK_SEQPACKET, 0)); }
Result MakesNetlink(Place& /*place*/) { return Answer(socket(AF_NETLINK, SOCK_RAW, 0)); }
Result MakesKey(Place& /*place*/) { return Answer(socket(AF_KEY, SOCK_RAW, 2)); }

// What a list of dangerous calls used to hold.
void DangerousCalls(Place& /*place*/) {
  Deny({{SYS_ptrace, {}}, {SYS_init_module, {}}, {SYS_kexec_load, {}}, {SYS_mount, {}}});
}

Result IsTraced(Place& /*place*/) { return Answer(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }
Result MakesMap(Place& /*place*/) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = attributes.value_size = 4;
  attributes.max_entries = 1;
  return Answer(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}
Result Watches(Place& /*place*/) {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.size = sizeof attributes;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  return Answer(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}
Result TakesFaults(Place& /*place*/) { return Answer(syscall(SYS_userfaultfd, O_CLOEXEC)); }
// Arguments that can't succeed: what counts is that the kernel looked at them.
Result LoadsModule(Place& /*place*/) {
  const Result result = Answer(syscall(SYS_finit_module, -1, "", 0));
  return result == EBADF ? 0 : result;
}
Result LoadsKernel(Place& /*place*/) {
  const Result result = Answer(syscall(SYS_kexec_file_load, -1, -1, 0, "", 0));
  return result == EBADF ? 0 : result;
}
Result Splices(Place& /*place*/) {
  std::array<int, 2> from{};
  std::array<int, 2> to{};
  Needed(pipe(from.data()), "a pipe");
  Needed(pipe(to.data()), "a pipe");
  Needed(write(from[1], "x", 1), "write");
  return Answer(splice(from[0], nullptr, to[1], nullptr, 1, 0));
}
Result SplicesMemory(Place& /*place*/) {
  std::array<int, 2> ends{};
  Needed(pipe(ends.data()), "a pipe");
  char byte = 'x';
  const iovec piece{&byte, 1};
  return Answer(vmsplice(ends[1], &piece, 1, 0));
}

}  // namespace

std::vector<HalfRule> CallRules() {
  const std::vector<Way> socket{{"socket", MakesSocket, nullptr, true}};
  const Way reads{"read", ReadsGranted};
  return {
      {"calls-io-uring", nullptr, NoSockets, socket, reads, {{"ring", SocketByRing}}},
      {"calls-ia32",
       nullptr,
       NoSockets,
       socket,
       reads,
       {{"socketcall", Ia32Socketcall},
        {"socketcall-vsock", Ia32Vsock},
        {"ia32-socket", Ia32Socket}}},
      {"calls-x32", nullptr, NoSockets, socket, reads, {{"x32-socket", X32Socket}}},
      {"calls-high-bits",
       nullptr,
       WholeRegisters,
       {{"ioctl", AsksPipe, nullptr, true}, {"socket", MakesVsock}},
       reads,
       {{"ioctl-high", AsksPipeHigh, nullptr, true}, {"socket-high", MakesVsockHigh}}},
      {"calls-low-bits",
       nullptr,
       LowHalves,
       {{"mmap", MapsMuch, nullptr, true}, {"lseek", SeeksFar, nullptr, true}},
       {"little", MapsAndSeeksLittle},
       {{"mmap-high", MapsMore, nullptr, true}, {"lseek-high", SeeksFurther, nullptr, true}}},
      {"calls-newer",
       nullptr,
       OldList,
       {{"clone", Forks, nullptr, true},
        {"openat", Opens},
        {"fchmodat", Mode},
        {"mount", Remounts},
        {"open_tree", CopiesTree}},
       {"stat", StatsGranted},
       {{"clone3", Forks3},
        {"openat2", Opens2},
        {"fchmodat2", Mode2},
        {"mount_setattr", RemountsByAttribute},
        {"open_tree_attr", CopiesTreeByAttribute}}},
      {"calls-clone3-flags",
       nullptr,
       NoUserNamespace,
       {{"clone", ClonesUser}, {"unshare", UnsharesUser}},
       {"fork", Forks},
       {{"clone3", Clones3User}}},
      {"calls-user-namespace",
       nullptr,
       BecomeNobody,
       {{"sethostname", NamesHost}},
       reads,
       {{"unshare", NamesHostUnshared}, {"clone", NamesHostCloned}}},
      {"terminal-tiocsti-tioclinux",
       OwnTerminal,
       DenyAllFiles,
       {{"open", OpensTerminal}},
       reads,
       {{"tiocsti", PushesInput}, {"tioclinux", AsksConsole}}},
      {"sockets-niche",
       nullptr,
       NoInternet,
       socket,
       reads,
       {{"crypto", MakesCrypto}, {"netlink", MakesNetlink}, {"key", MakesKey}}},
      {"vsock-socket",
       nullptr,
       DenyAllFiles,
       {{"open", ReadsDecoy}},
       reads,
       {{"stream", MakesVsock},
        {"connect", ConnectsVsock, ListenOnVsock},
        {"seqpacket", MakesVsockDatagram}}},
      {"kernel-entry",
       nullptr,
       DangerousCalls,
       {{"ptrace", IsTraced}},
       reads,
       {{"bpf", MakesMap},
        {"perf", Watches},
        {"userfaultfd", TakesFaults},
        {"finit-module", LoadsModule},
        {"kexec-file", LoadsKernel},
        {"splice", Splices},
        {"vmsplice", SplicesMemory}}},
  };
}

}  // namespace bulkhead::attacks
