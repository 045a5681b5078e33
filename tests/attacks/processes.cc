// SPDX-License-Identifier: Apache-2.0
// Rules that keep processes apart, and how one reaches another.
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

using Bytes = std::array<char, kSecret.size()>;

bool IsSecret(const Bytes& bytes) {
  return std::string_view(bytes.data(), bytes.size()) == kSecret;
}

// --- processes-ptrace, -vm-readv, -pidfd-getfd, -proc-mem ----------------------------------------

Result Seizes(pid_t pid) { return Answer(ptrace(PTRACE_SEIZE, pid, nullptr, nullptr)); }
Result TracesPeer(Place& place) { return OnPeers(place, Seizes); }
Result TracesChild(Place& /*place*/) {
  const pid_t child = StartDecoy([] {});
  const Result result = Seizes(child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, __WALL);
  return result;
}

void NoTracing(Place& /*place*/) { Deny({{SYS_ptrace, {}}}); }

Result Moves(const Place& place, bool writes) {
  return OnPeers(place, [&](pid_t pid) {
    Bytes bytes{};
    if (writes) kSecret.copy(bytes.data(), bytes.size());
    const iovec here{bytes.data(), bytes.size()};
    const iovec there{Pointer(place.secret), bytes.size()};
    const ssize_t size = writes ? process_vm_writev(pid, &here, 1, &there, 1, 0)
                                : process_vm_readv(pid, &here, 1, &there, 1, 0);
    if (size < 0) return errno;
    return writes || IsSecret(bytes) ? 0 : ENODATA;
  });
}
Result ReadsMemory(Place& place) { return Moves(place, false); }
Result WritesMemory(Place& place) { return Moves(place, true); }

void NoOpening(Place& /*place*/) {
  Deny({{SYS_openat, {}},
        {SYS_openat2, {}}
#if defined(SYS_open)
        ,
        {SYS_open, {}}
#endif
  });
}

Result TakesDescriptor(Place& place) {
  return OnPeers(place, [](pid_t pid) {
    // Where there is no pidfd the call itself still says whether it is made.
    const auto peer = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    const auto fd = static_cast<int>(syscall(SYS_pidfd_getfd, peer, 3, 0));
    if (peer >= 0) close(peer);
    char byte = 0;
    if (fd < 0) return errno;
    return pread(fd, &byte, 1, 0) == 1 ? 0 : errno;
  });
}

// A peer that serves at a socket, and so tells the kernel which process it is.
void StartServer(Place& place) {
  StartPeer(place);
  const pid_t server = StartDecoy([&] {
    ListenAt(place.edge);
    const int decoy = open(place.decoy.c_str(), O_RDONLY);
    if (decoy != 3 && dup2(decoy, 3) != 3) _exit(1);
  });
  place.first_peer = place.last_peer = place.init = server;
}

// The kernel gives the handle of who listens, without a number and without pidfd_open.
Result TakesDescriptorOfServer(Place& place) {
  constexpr int kPeerPidfd = 77;  // SO_PEERPIDFD, Linux 6.5
  const int fd = ConnectAt(place.edge);
  const Result unreached = Answer(fd);
  int peer = -1;
  socklen_t size = sizeof peer;
  const Result unknown = Answer(getsockopt(fd, SOL_SOCKET, kPeerPidfd, &peer, &size));
  // Whatever was refused before, whether this call is made.
  const auto taken = static_cast<int>(syscall(SYS_pidfd_getfd, peer, 3, 0));
  char byte = 0;
  if (taken >= 0) return pread(taken, &byte, 1, 0) == 1 ? 0 : errno;
  if (unreached != 0) return unreached;
  return unknown != 0 ? unknown : errno;
}

void NoTracingNorReading(Place& /*place*/) {
  Deny({{SYS_ptrace, {}}, {SYS_process_vm_readv, {}}, {SYS_process_vm_writev, {}}});
}

Result OpensMemory(const Place& place, int mode) {
  return OnPeers(place, [&](pid_t pid) {
    const int fd = open(("/proc/" + std::to_string(pid) + "/mem").c_str(), mode | O_CLOEXEC);
    if (fd < 0) return errno;
    Bytes bytes{};
    const auto at = static_cast<off_t>(place.secret);
    const ssize_t size = pread(fd, bytes.data(), bytes.size(), at);
    close(fd);
    return size == static_cast<ssize_t>(bytes.size()) && IsSecret(bytes) ? 0 : EIO;
  });
}
Result ReadsProcMemory(Place& place) { return OpensMemory(place, O_RDONLY); }
Result OpensProcMemory(Place& place) { return OpensMemory(place, O_RDWR); }

// --- keyring -------------------------------------------------------------------------------------

Result ReadsKey(Place& /*place*/) {
  const long key =
      syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "half-rules", 0);
  if (key < 0) return errno;
  Bytes bytes{};
  if (syscall(SYS_keyctl, KEYCTL_READ, key, bytes.data(), bytes.size()) < 0) return errno;
  return IsSecret(bytes) ? 0 : ENODATA;
}
Result RequestsKey(Place& /*place*/) {
  return Answer(syscall(SYS_request_key, "user", "half-rules", nullptr, 0));
}
Result AddsKey(Place& /*place*/) {
  return Answer(syscall(SYS_add_key, "user", "half-rules-own", "x", 1, KEY_SPEC_SESSION_KEYRING));
}

// --- ipc-sysv, ipc-posix -------------------------------------------------------------------------

constexpr const char* kQueue = "/half-rules";
constexpr const char* kShared = "/dev/shm/half-rules";
constexpr const char* kOwnShared = "/dev/shm/half-rules-own";

void NoSystemV(Place& /*place*/) { Deny({{SYS_shmget, {}}, {SYS_msgget, {}}, {SYS_semget, {}}}); }

// Addresses of processes are not negative.
Result AttachedTo(const void* at) { return Answer(std::bit_cast<intptr_t>(at)); }

Result Attaches(Place& place) {
  const int id = shmget(place.ipc_key, 0, 0);
  if (id < 0) return errno;
  return AttachedTo(shmat(id, nullptr, SHM_RDONLY));
}
Result FindsQueue(Place& place) { return Answer(msgget(place.ipc_key, 0)); }
Result AttachesOwn(Place& /*place*/) {
  const int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  if (id < 0) return errno;
  const Result result = AttachedTo(shmat(id, nullptr, 0));
  shmctl(id, IPC_RMID, nullptr);
  return result;
}
Result OpensQueue(Place& /*place*/) { return Answer(mq_open(kQueue, O_RDONLY)); }
Result OpensShared(Place& /*place*/) { return ReadsFile(kShared); }
Result SharesOwn(Place& /*place*/) {
  const int fd = open(kOwnShared, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  unlink(kOwnShared);
  return fd < 0 ? errno : Answer(write(fd, "x", 1));
}

}  // namespace

// A key of root's in the session keyring that everything it starts inherits.
void LeaveKey(Place& /*place*/) {
  Needed(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr), "a session keyring");
  Needed(syscall(SYS_add_key, "user", "half-rules", kSecret.data(), kSecret.size(),
                 KEY_SPEC_SESSION_KEYRING),
         "a key");
}

void LeaveIpc(Place& place) {
  place.ipc_key = 0x68616c66;
  Needed(shmget(place.ipc_key, kSecret.size(), IPC_CREAT | 0666), "shared memory");
  Needed(msgget(place.ipc_key, IPC_CREAT | 0666), "a queue");
  Needed(mq_open(kQueue, O_RDONLY | O_CREAT, 0666, nullptr), "a POSIX queue");
  WriteFile(kShared, kSecret);
}

std::vector<HalfRule> ProcessRules() {
  const std::vector<Way> opens{{"open", ReadsDecoy}};
  const Way reads{"read", ReadsGranted};
  return {
      {"processes-ptrace",
       StartNobody,
       BecomeNobody,
       opens,
       reads,
       {{"peer", TracesPeer}, {"child", TracesChild}}},
      {"processes-vm-readv",
       StartPeer,
       NoTracing,
       {{"ptrace", TracesPeer}},
       reads,
       {{"read", ReadsMemory}, {"write", WritesMemory}}},
      {"processes-pidfd-getfd",
       StartServer,
       NoOpening,
       opens,
       {"stat", StatsGranted},
       {{"getfd", TakesDescriptor}, {"getfd-of-server", TakesDescriptorOfServer}}},
      {"processes-proc-mem",
       StartPeer,
       NoTracingNorReading,
       {{"read", ReadsMemory}},
       reads,
       {{"open-read", ReadsProcMemory}, {"open-write", OpensProcMemory}}},
      {"keyring",
       LeaveKey,
       BecomeNobody,
       opens,
       reads,
       {{"session", ReadsKey}, {"request", RequestsKey}, {"add", AddsKey}}},
      {"ipc-sysv",
       LeaveIpc,
       DenyAllFiles,
       opens,
       {"own", AttachesOwn},
       {{"memory", Attaches}, {"queue", FindsQueue}}},
      {"ipc-posix",
       LeaveIpc,
       NoSystemV,
       {{"system-v", Attaches}},
       {"own", SharesOwn},
       {{"queue", OpensQueue}, {"dev-shm", OpensShared}}},
  };
}

}  // namespace bulkhead::attacks
