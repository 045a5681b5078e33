// SPDX-License-Identifier: Apache-2.0
#include "engine/broker.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/clock.h"
#include "sandbox/cgroup_mounts.h"

namespace bulkhead {
namespace {

Fd OpenNamespace(pid_t pid, const char* name) {
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + name;
  return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// The process of a thread, by `Tgid:` of its status; 0 if it is gone.
pid_t ProcessOf(pid_t tid) {
  const std::string status = ReadSmallFile("/proc/" + std::to_string(tid) + "/status");
  const size_t at = status.find("\nTgid:");
  return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + 6);
}

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

Fd OpenProcess(pid_t pid, unsigned flags = 0) {
  return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, flags)));
}

Fd DescriptorOf(const Fd& process, int number) {
  return Fd(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
}

uint64_t DeadlineOf(BrokerRequest::Kind kind, int socket) {
  const bool waits = socket >= 0 && (fcntl(socket, F_GETFL) & O_NONBLOCK) == 0;
  const bool long_one = kind != BrokerRequest::Kind::kRead && waits;
  return NowMs() + (long_one ? kConnectDeadline : kReadDeadline);
}

}  // namespace

Workers::Workers(const ProfileData& profile, Fd mount, Fd network, Cgroup::Entrances memory,
                 bool close_range)
    : mount_(std::move(mount)),
      network_(std::move(network)),
      memory_(std::move(memory)),
      plan_(profile) {
  plan_.mount_namespace = mount_.get();
  plan_.network_namespace = network_.get();
  if (!memory_.tasks.empty()) plan_.cgroup_tasks = memory_.tasks.front().get();
  plan_.cgroup_directory = memory_.directory.get();
  plan_.close_range = close_range;
}

std::unique_ptr<Workers> Workers::Open(const ProfileData& profile, pid_t reaper,
                                       const Cgroup& cgroup, bool close_range) {
  Fd mount = OpenNamespace(reaper, "mnt");
  const bool own_network = profile.network == Network::kNone;
  Fd network = own_network ? OpenNamespace(reaper, "net") : Fd();
  auto memory = cgroup.OpenMemory();
  if (!mount || (own_network && !network) || !memory) return nullptr;
  return std::unique_ptr<Workers>(
      new Workers(profile, std::move(mount), std::move(network), std::move(*memory), close_range));
}

Workers::~Workers() {
  for (size_t i = 0; i < workers_.size(); ++i) Reset(i);
}

std::optional<Workers::Cut> Workers::Reset(size_t index) {
  Worker& worker = workers_.at(index);
  std::optional<Cut> cut;
  if (worker.call) cut = CutOff(worker);
  if (worker.pid > 0) kill(worker.pid, SIGKILL);
  if (worker.page != nullptr) munmap(worker.page, sizeof *worker.page);
  worker = {};
  return cut;
}

// From then on it makes no call, if it makes none now.
Workers::Cut Workers::CutOff(Worker& worker) {
  const uint64_t id = worker.call->call.id;
  Cut cut{std::move(*worker.call), std::nullopt};
  worker.call.reset();
  std::atomic<uint64_t>& decided = worker.page->decided;
  for (uint64_t seen = decided.load(std::memory_order_acquire); seen != id;) {
    if (decided.compare_exchange_strong(seen, WorkerPage::kRevoked)) return cut;
  }
  BrokerReply& reply = cut.made.emplace();
  reply.id = id;
  reply.outcome = BrokerReply::Outcome::kMade;
  reply.socket = worker.page->socket;
  reply.sizes[0] = std::min<uint32_t>(worker.page->size, kMaxSocketAddress);
  std::memcpy(reply.bytes[0], worker.page->address, reply.sizes[0]);
  return cut;
}

bool Workers::Start(Kernel& kernel, Worker& worker) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return false;
  }
  worker.socket = Fd(ends[0]);
  const Fd other(ends[1]);
  // The worker waits in recvmsg; only the supervisor's end must not.
  fcntl(other.get(), F_SETFL, 0);
  void* page =
      mmap(nullptr, sizeof(WorkerPage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  worker.page = new (page) WorkerPage;
  worker.pid = LaunchWorker(kernel, plan_, other.get(), *worker.page);
  // Nobody who is forked later has it.
  return worker.pid > 0 && madvise(page, sizeof(WorkerPage), MADV_DONTFORK) == 0;
}

std::optional<size_t> Workers::Idle(Kernel& kernel, bool& made, bool& failed) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    const Worker& worker = workers_.at(i);
    if (worker.pid > 0 && !worker.dead && !worker.call) return i;
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (workers_.at(i).socket) continue;
    made = Start(kernel, workers_.at(i));
    failed = !made;
    if (made) return i;
    Reset(i);
    return std::nullopt;
  }
  return std::nullopt;
}

bool Workers::Send(size_t index, const BrokerRequest& request, Fd& memory, Fd& socket,
                   const BrokeredCall& call) {
  Worker& worker = workers_.at(index);
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  iovec vector{const_cast<BrokerRequest*>(&request), sizeof request};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  const int fds[2] = {memory.get(), socket.get()};
  const size_t count = socket ? 2 : 1;
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  const bool sent =
      sendmsg(worker.socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof request;
  worker.dead = !sent;
  if (!sent) return false;
  worker.call = call;
  worker.due = DeadlineOf(call.kind, socket.get());
  memory.Reset();
  socket.Reset();
  worker.page->released.store(request.id, std::memory_order_release);
  return true;
}

void Workers::Describe(size_t index, Event event) {
  workers_.at(index).call.value().event = std::move(event);
}

std::optional<Workers::Done> Workers::Take(size_t index) {
  Worker& worker = workers_.at(index);
  BrokerReply reply;
  const ssize_t size = recv(worker.socket.get(), &reply, sizeof reply, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  // Otherwise it has ended, or says what nobody asked.
  worker.dead = size != sizeof reply || !worker.call || reply.id != worker.call->call.id;
  if (worker.dead) return std::nullopt;
  Done done{std::move(*worker.call), reply};
  worker.call.reset();
  return done;
}

std::optional<Workers::Cut> Workers::Expired(size_t index, uint64_t now) {
  Worker& worker = workers_.at(index);
  if (!worker.call || worker.due > now) return std::nullopt;
  worker.dead = true;
  return CutOff(worker);
}

uint64_t Workers::due(size_t index) const {
  return workers_.at(index).call ? workers_.at(index).due : 0;
}

void Workers::Ended(pid_t pid) {
  for (Worker& worker : workers_) {
    // What it last said is still in its socket, whose end tells the rest.
    if (worker.pid == pid) worker.pid = 0;
  }
}

Fd Workers::TakeDescriptor(pid_t tid, int number) {
  if (caller_ == tid) {
    Fd taken = DescriptorOf(caller_pidfd_, number);
    // ESRCH: it is gone, and its number another's.
    if (taken || errno != ESRCH) return taken;
  }
  caller_ = 0;
  caller_pidfd_ = OpenProcess(tid);
  if (caller_pidfd_) {
    caller_ = tid;
    return DescriptorOf(caller_pidfd_, number);
  }
  // Threads have their descriptors in common with their process; a thread that is not its first has
  // no pidfd of this kind, and leaves its number before the process does. One of its own is from
  // Linux 6.9; before, a process whose first thread has ended has none.
  Fd process = OpenProcess(tid, PIDFD_THREAD);
  if (!process) process = OpenProcess(ProcessOf(tid));
  return process ? DescriptorOf(process, number) : Fd();
}

Fd OpenMemory(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/mem";
  return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace bulkhead
