// SPDX-License-Identifier: Apache-2.0
// Calls that workers make for a component, and arguments that they read: from the notification to
// the answer. Nothing here waits for a worker.
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/arguments.h"
#include "engine/clock.h"
#include "engine/supervisor.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Kind = BrokerRequest::Kind;

BrokerCall CallOf(Kind kind) {
  if (kind == Kind::kConnect) return BrokerCall::kConnect;
  return kind == Kind::kBind ? BrokerCall::kBind : BrokerCall::kSend;
}

BrokerRequest RequestOf(Arch arch, const BrokeredCall& brokered) {
  const auto& args = brokered.call.data.args;
  BrokerRequest request;
  request.id = brokered.call.id;
  request.kind = brokered.kind;
  switch (brokered.kind) {
    case Kind::kConnect:
    case Kind::kBind:
      request.address = args[1];
      request.address_size = args[2];
      break;
    case Kind::kSendTo:
      request.data = args[1];
      request.data_size = args[2];
      request.flags = static_cast<uint32_t>(args[3]);
      request.address = args[4];
      request.address_size = args[5];
      break;
    case Kind::kSendMessage:
      request.address = args[1];
      request.flags = static_cast<uint32_t>(args[2]);
      break;
    case Kind::kRead: {
      const Pieces pieces = PiecesOf(arch, brokered.call.data);
      std::copy(pieces.begin(), pieces.end(), std::begin(request.pieces));
      break;
    }
  }
  return request;
}

std::string SocketText(const SocketKind& socket) {
  return "domain " + std::to_string(socket.domain) + " type " + std::to_string(socket.type) +
         " protocol " + std::to_string(socket.protocol);
}

// A close of the last descriptor of these waits for nobody: pipes without a name, and the kernel's
// own null, zero, full and random (devices.txt, 1 char).
bool ClosesAtOnce(const Fd& fd) {
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return false;
  constexpr unsigned kMemoryDevices = 1;
  struct statfs place {};
  if (S_ISFIFO(info.st_mode)) {
    return fstatfs(fd.get(), &place) == 0 && place.f_type == PIPEFS_MAGIC;
  }
  return S_ISCHR(info.st_mode) && major(info.st_rdev) == kMemoryDevices;
}

// What is no socket is not handed on: see CloseFileElsewhere.
int WhyNoSocket(const Fd& fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 ? 0 : errno;
}

}  // namespace

// Where the component's own connections are made by a worker, or its arguments are read by one.
void Supervisor::OpenWorkers(Component& component) {
  component.workers = Workers::Open(*component.profile, component.reaper, *component.cgroup,
                                    kernel_features_.Has(Feature::kCloseRange));
}

void Supervisor::CloseWorkers(Component& component) {
  for (auto* calls : {&component.deferred, &component.queued}) {
    for (const Notification& call : *calls) RecordGone(component, call);
    calls->clear();
  }
  component.full = false;
  if (!component.workers) return;
  for (size_t i = 0; i < kMaxWorkers; ++i) {
    if (auto cut = ResetWorker(component, i)) RecordCut(component, std::move(*cut));
  }
  component.workers.reset();
  for (BrokeredCall& waiting : component.waiting) RecordCut(component, {std::move(waiting), {}});
  component.waiting.clear();
}

std::optional<Workers::Cut> Supervisor::ResetWorker(Component& component, size_t index) {
  if (const pid_t pid = component.workers->pid(index); pid > 0) killed_workers_.insert(pid);
  const int fd = component.workers->fd(index);
  if (fd >= 0) Unwatch(fd);
  return component.workers->Reset(index);
}

// Its end refuses as well. What was not decided by then may be what the policy allows, and ends
// nobody.
void Supervisor::RecordCut(const Component& component, Workers::Cut cut) {
  cut.call.event.boot_ns = NowNs();
  Event event =
      cut.made ? BrokerEvent(component, cut.call, *cut.made) : UnreadEvent(component, cut.call);
  event.extra.push_back({"caller", "ended"});
  if (cut.made) return Allowed(std::move(event), 0);
  log_.Append(std::move(event));
}

void Supervisor::AnswerCut(Component& component, Workers::Cut cut, int error) {
  cut.call.event.boot_ns = NowNs();
  if (cut.made) return AnswerMade(component, cut.call, *cut.made, -error);
  // Nobody has decided, which load can bring about; but what is read for its record is decided.
  RefuseUnread(component, cut.call, cut.call.kind == Kind::kRead);
}

std::optional<Kind> Supervisor::BrokeredKind(const Component& component,
                                             const Notification& call) const {
  const ProfileData& profile = *component.profile;
  if (component.launch_pending || !std::ranges::binary_search(profile.broker.calls, call.data.nr)) {
    return std::nullopt;
  }
  const std::string_view name = SyscallName(profile.arch, call.data.nr);
  if (name == "connect") return Kind::kConnect;
  if (name == "bind") return Kind::kBind;
  return name == "sendto" ? Kind::kSendTo : Kind::kSendMessage;
}

// Whether its arguments are to be read before it is refused.
bool Supervisor::ReadsArguments(Component& component, const Notification& call) {
  if (!component.workers || component.launch_pending || component.read >= kReadBudget) return false;
  const Pieces pieces = PiecesOf(component.profile->arch, call.data);
  if (pieces[0].size == 0) return false;
  ++component.read;
  return true;
}

void Supervisor::Broker(Component& component, const Notification& call, Kind kind) {
  BrokeredCall brokered{call, kind};
  if (HandOver(component, brokered)) return;
  if (component.waiting.size() >= kMaxWaiting) return Defer(component, call);
  component.waiting.push_back(brokered);
}

// False: no worker is free.
bool Supervisor::HandOver(Component& component, BrokeredCall& brokered) {
  std::set<pid_t>& closers = OwnerOf(component).closers;
  if (brokered.kind != Kind::kRead && closers.size() >= kMaxClosers) return false;
  bool failed = !component.workers;
  bool made = false;
  const auto index = failed ? std::nullopt : component.workers->Idle(kernel_, made, failed);
  if (failed) {
    RefuseUnread(component, brokered);
    return true;
  }
  if (!index) return false;
  if (made) Watch(Role::kWorker, IndexOf(component), component.workers->fd(*index));

  const Notification& call = brokered.call;
  // Both openings wait while a process of that number is in an exec, for as long as the kernel
  // takes its old memory down (exec_update_lock). An exec ends the other threads first, and with
  // them what they wait for, so a call that is still there is of no process in an exec.
  bool valid = component.listener.IsValid(call);
  Fd memory = valid ? OpenMemory(call.pid) : Fd();
  valid = valid && component.listener.IsValid(call);
  Fd socket;
  int error = 0;
  if (valid && brokered.kind != Kind::kRead) {
    socket = component.workers->TakeDescriptor(call.pid, static_cast<int>(call.data.args[0]));
    error = socket ? 0 : errno;
    if (socket) error = WhyNoSocket(socket);
  }
  // Until here its pid was its own; and a socket is not closed here, where closing can wait.
  valid = valid && component.listener.IsValid(call);
  const bool ready = valid && memory && error == 0;
  if (ready && component.workers->Send(*index, RequestOf(component.profile->arch, brokered), memory,
                                       socket, brokered)) {
    // Beside the worker, which has the longer way.
    component.workers->Describe(*index, RefusalEvent(component, call));
    if (brokered.kind != Kind::kRead) busy_until_ = NowNs() + kBusyTime;
    return true;
  }
  if (error == ENOTSOCK && ClosesAtOnce(socket)) socket.Reset();
  if (socket) SpendBrokered(component, kChildCost);
  if (socket && error == ENOTSOCK) {
    if (const pid_t closer = CloseFileElsewhere(socket); closer > 0) closers.insert(closer);
  }
  CloseElsewhere(socket);
  if (ready) {
    // That worker has ended, and its end was not looked at yet.
    ResetWorker(component, *index);
    if (!made || ++brokered.ended < kMaxWorkers) return HandOver(component, brokered);
  }
  if ((error == EBADF || error == ENOTSOCK) && valid) {
    component.listener.RespondResult(call, -error);
    SpendBrokered(component);
  } else if (valid) {
    RefuseUnread(component, brokered);
  } else {
    const bool decided = brokered.kind == Kind::kRead;
    RecordCut(component, {std::move(brokered), {}});
    if (decided) Violated(component);
    SpendAnswer(component);
  }
  return true;
}

void Supervisor::OnWorker(Component& component, int fd) {
  if (!component.workers) return;
  for (size_t i = 0; i < kMaxWorkers; ++i) {
    if (component.workers->fd(i) != fd) continue;
    auto done = component.workers->Take(i);
    if (done) {
      Finish(component, done->call, done->reply);
    } else if (component.workers->IsDead(i)) {
      // It ends by itself only where it could not be confined, or was killed from outside.
      auto cut = ResetWorker(component, i);
      if (!cut) {
        Status("a worker of `" + NameOf(component) + "` has ended");
      } else if (!cut->made && ++cut->call.ended < kMaxWorkers) {
        cut->call.event = {};
        component.waiting.push_front(std::move(cut->call));
      } else {
        AnswerCut(component, std::move(*cut), ECONNABORTED);
      }
    }
    return;
  }
}

void Supervisor::Finish(Component& component, BrokeredCall& brokered, const BrokerReply& reply) {
  using Outcome = BrokerReply::Outcome;
  const Notification& call = brokered.call;
  busy_until_ = 0;
  brokered.event.boot_ns = NowNs();  // before its caller goes on
  if (brokered.kind == Kind::kRead) {
    Event event = BegunEvent(component, brokered);
    const Pieces pieces = PiecesOf(component.profile->arch, call.data);
    const std::string claimed = DescribePieces(pieces, reply);
    event.extra.push_back({"arguments", claimed.empty() ? "unread" : "claimed"});
    if (!claimed.empty()) {
      event.extra.push_back({"registers", event.object});
      event.object = claimed;
    }
    return Refuse(component, call, std::move(event));
  }
  if (reply.outcome == Outcome::kMade) {
    // Without a rule nothing was decided: it failed before, or went where a connection was made to.
    const bool decided = reply.rule != kNoBrokerRule;
    if (decided) {
      AnswerMade(component, brokered, reply, reply.result);
    } else {
      component.listener.RespondResult(call, reply.result);
    }
    SpendBrokered(component);
    return;
  }
  if (reply.outcome == Outcome::kUnread) return RefuseUnread(component, brokered);
  Refuse(component, call, BrokerEvent(component, brokered, reply));
}

void Supervisor::AnswerMade(const Component& component, BrokeredCall& brokered,
                            const BrokerReply& reply, int64_t result) {
  const bool answered = component.listener.RespondResult(brokered.call, result);
  Event event = BrokerEvent(component, brokered, reply);
  if (!answered) event.extra.push_back({"caller", "ended"});
  Allowed(std::move(event), result);
}

void Supervisor::Allowed(Event event, int64_t result) {
  event.kind = EventKind::kBrokered;
  event.control = "broker";
  event.verdict = "allowed";
  event.error = result < 0 ? ErrnoName(static_cast<int>(-result)) : std::string();
  log_.Append(std::move(event));
}

Event Supervisor::BegunEvent(const Component& component, BrokeredCall& brokered) {
  if (brokered.event.component.empty()) return RefusalEvent(component, brokered.call);
  return std::move(brokered.event);
}

Event Supervisor::BrokerEvent(const Component& component, BrokeredCall& brokered,
                              const BrokerReply& reply) {
  Event event = BegunEvent(component, brokered);
  event.control = "broker";
  const std::string registers = std::exchange(event.object, {});
  const size_t size = std::min<size_t>(reply.sizes[0], kMaxSocketAddress);
  const std::span<const uint8_t> address(reply.bytes[0], size);
  if (reply.outcome == BrokerReply::Outcome::kControl) {
    event.object = "control data";
  } else {
    event.object = EndpointText(reply.socket, address);
    event.extra.push_back({"socket", SocketText(reply.socket)});
  }
  event.extra.push_back({"registers", registers});
  event.rule =
      "components." + event.component + "." +
      std::string(BrokerStatement(component.profile->broker, CallOf(brokered.kind), reply.socket));
  return event;
}

Event Supervisor::UnreadEvent(const Component& component, BrokeredCall& brokered) {
  Event event = BegunEvent(component, brokered);
  if (brokered.kind != Kind::kRead) {
    event.control = "broker";
    event.rule = "components." + event.component + ".network";
  }
  event.extra.push_back({"arguments", "unread"});
  return event;
}

void Supervisor::RefuseUnread(Component& component, BrokeredCall& brokered, bool violates) {
  Event event = UnreadEvent(component, brokered);
  const bool answered = violates ? AnswerViolation(component, brokered.call)
                                 : component.listener.Respond(brokered.call, Answer::kRefuse);
  // Its caller has ended, which is why nothing could be read: see RecordCut. What is read for the
  // record alone is refused whatever it says.
  if (!answered) event.extra.push_back({"caller", "ended"});
  if (violates && (answered || brokered.kind == Kind::kRead)) {
    Violation(component, std::move(event));
  } else {
    log_.Append(std::move(event));
  }
  SpendAnswer(component);
}

void Supervisor::Refuse(Component& component, const Notification& call, Event event) {
  AnswerViolation(component, call);
  Violation(component, std::move(event));
  SpendAnswer(component);
}

bool Supervisor::AnswerViolation(const Component& component, const Notification& call) {
  if (EndsByViolation(component)) return component.listener.IsValid(call);
  return component.listener.Respond(call, Answer::kRefuse);
}

void Supervisor::Violation(Component& component, Event event) {
  component.last_refused = event.action;
  if (EndsByViolation(component)) {
    event.verdict = "killed";
    event.error.clear();
  }
  log_.Append(std::move(event));
  Violated(component);
}

// Hands over what waits, and takes new calls again when there is room. Asked after each look for
// events, so that whatever made a worker free, no call is forgotten.
void Supervisor::Proceed(Component& component) {
  if (component.ending) return CloseWorkers(component);
  while (!component.waiting.empty() && !component.ending &&
         HandOver(component, component.waiting.front())) {
    component.waiting.pop_front();
  }
  AnswerDeferred(component);
}

void Supervisor::ExpireWorkers(Component& component, uint64_t now) {
  if (!component.workers) return;
  for (size_t i = 0; i < kMaxWorkers; ++i) {
    const uint64_t due = component.workers->due(i);
    if (due == 0 || due > now) continue;
    // It may have answered just now.
    if (auto done = component.workers->Take(i)) {
      Finish(component, done->call, done->reply);
      continue;
    }
    auto cut = component.workers->Expired(i, now);
    if (!cut) continue;
    ResetWorker(component, i);
    // If it was allowed its other end does not answer.
    AnswerCut(component, std::move(*cut), ETIMEDOUT);
  }
}

void Supervisor::SpendBrokered(Component& component, uint32_t cost) {
  component.brokered += cost;
  if (component.brokered > kBrokeredBudget) component.muted = true;
}

}  // namespace bulkhead
