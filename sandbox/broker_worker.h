// SPDX-License-Identifier: Apache-2.0
// A process that makes one component's connections and reads its arguments for the supervisor: in
// the component's mount and network namespaces, with its uid, gid and groups and without
// capabilities, in a Landlock domain that opens no file and knows the broker's ports alone, behind
// a filter of few calls. It is in no PID namespace that a component sees, and not dumpable, so
// nobody of the same uid signals, traces or reads it. It can be blocked by the memory that it reads
// and by the calls that it makes: the supervisor has a deadline, at which it kills it and makes
// another.
//
// It holds no authority over the component's memory or descriptors: the supervisor opens the one
// (/proc/PID/mem, proc_pid_mem(5)) and duplicates the other (pidfd_getfd(2)), neither of which
// touches that memory, and hands them over with each request. It decides and calls by its own copy
// of the address.
//
// Closing the last descriptor of a socket can wait for as long as its owner said (SO_LINGER), but
// not in a process that ends (net/ipv4/af_inet.c, inet_release): so the supervisor closes its
// duplicate while the worker still has one, and says so in WorkerPage::released.
//
// Not thread-safe: one thread forks. Between the fork and its end a worker allocates nothing.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "profiles/profile.h"
#include "sandbox/kernel.h"

namespace bulkhead {

inline constexpr size_t kMaxPieces = 2;
inline constexpr size_t kMaxPieceSize = 512;
inline constexpr size_t kMaxMessage = 65536;  // bytes of one message; of a stream the rest is later

// How long a worker waits for a blocking socket to take a message: less than the supervisor lets
// it. Its connects wait as long as that.
inline constexpr int kMaxSendWait = 9'000;  // ms

// Supervisor to worker, with descriptors: the memory, and for all but kRead the socket.
struct BrokerRequest {
  enum class Kind : uint32_t { kConnect, kBind, kSendTo, kSendMessage, kRead };
  uint64_t id = 0;
  Kind kind = Kind::kRead;
  uint32_t flags = 0;         // of the two that send
  uint64_t address = 0;       // kSendMessage: of struct msghdr
  uint64_t address_size = 0;  // register, of which the kernel reads an int
  uint64_t data = 0;          // kSendTo
  uint64_t data_size = 0;
  struct Piece {
    uint64_t address = 0;
    uint32_t size = 0;  // at most; 0: no piece
    uint32_t text = 0;  // ends at its first zero byte
  };
  Piece pieces[kMaxPieces];  // kRead
};

// Worker to supervisor.
struct BrokerReply {
  enum class Outcome : uint32_t {
    kMade,     // `result` is the kernel's answer; of kRead the pieces
    kRefused,  // no rule allows it
    kControl,  // refused: the message has control data, by which descriptors are passed on
    kUnread,   // what the call points to could not be read
  };
  uint64_t id = 0;
  Outcome outcome = Outcome::kUnread;
  uint32_t rule = kNoBrokerRule;
  int64_t result = 0;  // or minus an errno
  SocketKind socket;
  uint32_t sizes[kMaxPieces] = {};                // ~0: could not be read
  uint8_t bytes[kMaxPieces][kMaxPieceSize] = {};  // the address is the first
};

inline constexpr uint32_t kUnreadPiece = ~uint32_t{0};

// Shared by a worker and the supervisor.
struct WorkerPage {
  static constexpr uint64_t kRevoked = ~uint64_t{0};  // no request's id
  // By the worker: the request whose call it now makes. By the supervisor kRevoked: it makes none
  // any more.
  std::atomic<uint64_t> decided = 0;
  std::atomic<uint64_t> released = 0;  // by the supervisor: whose descriptors it has closed
  // What `decided` was decided about, written before it.
  SocketKind socket;
  uint32_t size = 0;
  uint8_t address[kMaxSocketAddress] = {};
};

struct WorkerPlan {
  explicit WorkerPlan(const ProfileData& component);

  const ProfileData& profile;
  int mount_namespace = -1;
  int network_namespace = -1;  // -1: the supervisor's own
  // Where its memory is counted: a `tasks` file of version 1, or a directory of version 2; -1.
  int cgroup_tasks = -1;
  int cgroup_directory = -1;
  bool close_range = false;  // the target has close_range(2)
  // Derived.
  LandlockPlan landlock;
  std::vector<int> bounding;
};

// Forks a worker: its pid, or minus an errno. `socket` is its end of a SOCK_SEQPACKET pair; `keep`
// the supervisor's, which it closes. `page` is mapped shared. The worker's exit status is 0 after
// the supervisor's end was closed, 1 when it could not be confined.
pid_t LaunchWorker(Kernel& kernel, const WorkerPlan& plan, int socket, WorkerPage& page);

// The worker's filter, for the architecture this is built for.
const Filter& WorkerFilter();

}  // namespace bulkhead
