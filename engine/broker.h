// SPDX-License-Identifier: Apache-2.0
// The workers of one component (sandbox/broker_worker.h), as the supervisor uses them: requests
// out, replies in, nothing that waits for a worker or for the component. At most kMaxWorkers at a
// time (sandbox/launch.h), made when they are needed; one that is over its deadline is killed.
//
// Order of calls: Open once a run of the component is confined; Send with an idle worker; Take when
// a worker's descriptor can be read; Expired on time. A worker that is dead after one of these is
// to be Reset, which closes its descriptor: who watches it stops before. The destructor ends all of
// them. Their processes are the owner's to reap, and to tell of (Ended). Single-threaded.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/cgroup.h"
#include "engine/event.h"
#include "engine/fd.h"
#include "engine/listener.h"
#include "sandbox/broker_worker.h"
#include "sandbox/launch.h"

namespace bulkhead {

// What the supervisor lets a worker take, ms: to read and decide, and to connect a socket that
// waits. A component that makes one wait keeps nobody but itself.
inline constexpr uint64_t kReadDeadline = 500;
inline constexpr uint64_t kConnectDeadline = 10'000;

// A call that a worker has, or that waits for one.
struct BrokeredCall {
  Notification call;
  BrokerRequest::Kind kind = BrokerRequest::Kind::kRead;
  Event event{};     // of its record; without a component: not begun
  size_t ended = 0;  // how many workers have ended before they decided about it
};

class Workers {
 public:
  // `reaper` is the component's PID 1, a child that was not waited for yet. What the workers hold
  // for it, as what its own sockets have not read, is counted in its `cgroup`. Null if its
  // namespaces or that can't be opened.
  static std::unique_ptr<Workers> Open(const ProfileData& profile, pid_t reaper,
                                       const Cgroup& cgroup, bool close_range);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  // The index of one that has nothing to do; makes one if it has to (`made`). Nothing: all are
  // busy, or none can be made (`failed`).
  std::optional<size_t> Idle(Kernel& kernel, bool& made, bool& failed);
  int fd(size_t index) const { return workers_.at(index).socket.get(); }  // -1: no worker
  pid_t pid(size_t index) const { return workers_.at(index).pid; }        // 0 or -1: nobody's

  // Descriptor `number` of the process that the call of thread `tid` came from; as OpenMemory. -1
  // with errno: EBADF where the process has no such descriptor.
  Fd TakeDescriptor(pid_t tid, int number);
  // Hands the request over with the descriptors, which it closes; its deadline begins. False: the
  // worker is dead, and they are as they were.
  bool Send(size_t index, const BrokerRequest& request, Fd& memory, Fd& socket,
            const BrokeredCall& call);
  // Begins the record of the call that worker `index` has.
  void Describe(size_t index, Event event);

  // The call that worker `index` had, with its reply.
  struct Done {
    BrokeredCall call;
    BrokerReply reply;
  };
  // Nothing: it has said nothing yet, or has ended.
  std::optional<Done> Take(size_t index);

  // A call that is cut off, and where to it was being made; without that it is not made any more.
  struct Cut {
    BrokeredCall call;
    std::optional<BrokerReply> made;
  };
  // That of worker `index` if it is over its deadline: the worker is to be killed.
  std::optional<Cut> Expired(size_t index, uint64_t now);
  uint64_t due(size_t index) const;  // ms, 0: never

  bool IsDead(size_t index) const { return workers_.at(index).dead; }
  // Kills it and closes its descriptor; the call that it had.
  std::optional<Cut> Reset(size_t index);

  // The process was waited for: if it was one of these its pid is nobody's from now on.
  void Ended(pid_t pid);

 private:
  struct Worker {
    pid_t pid = -1;
    Fd socket;
    WorkerPage* page = nullptr;
    std::optional<BrokeredCall> call;
    uint64_t due = 0;
    bool dead = false;
  };

  Workers(const ProfileData& profile, Fd mount, Fd network, Cgroup::Entrances memory,
          bool close_range);
  bool Start(Kernel& kernel, Worker& worker);
  static Cut CutOff(Worker& worker);

  Fd mount_, network_;
  Cgroup::Entrances memory_;
  // Of the last caller: a pidfd stands for no other process than it was opened for.
  pid_t caller_ = 0;
  Fd caller_pidfd_;
  WorkerPlan plan_;
  std::array<Worker, kMaxWorkers> workers_;
};

// The memory of the process that a call came from; its own only if the call is still valid after
// this. It opens what the kernel keeps of the process and does not touch its memory.
Fd OpenMemory(pid_t pid);

}  // namespace bulkhead
