// SPDX-License-Identifier: Apache-2.0
// One component from its launch (component_launch.cc) to its end, as the supervisor sees it: its
// refused calls, its output, readiness and death.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "engine/clock.h"
#include "engine/open_path.h"
#include "engine/supervisor.h"
#include "sandbox/reaper.h"

namespace bulkhead {
namespace {

// What is read at the ends of a component's runs, in a second: a pipe can hold 1 MiB, runs can end
// many at a time, and nobody else is served meanwhile.
constexpr size_t kLastOutput = 1U << 20;
constexpr uint64_t kLookInterval = 2'000'000;  // ns, between two looks for a component's socket
constexpr size_t kMaxLastMessages = 128;       // of a reaper: more than its socket holds
constexpr size_t kMaxReadyReads = 4;           // messages of the reaper before a call is judged

uint32_t Jitter() {
  uint32_t value = 0;
  if (syscall(SYS_getrandom, &value, sizeof value, 0) != sizeof value) return 0;
  return value;
}

std::string ExitText(int status, bool executed) {
  // No status: the whole namespace was killed before its reaper could report.
  if (status == -1) return executed ? "killed with all its processes" : "never executed";
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    return "killed by SIG" + std::string(name != nullptr ? name : "?");
  }
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

// Its directory is the component's own: nobody else can have made a socket there.
bool OwnsSocket(const std::string& path, uint32_t uid) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) && info.st_uid == uid;
}

}  // namespace

void Supervisor::Act(Component& component, UnitAction action) {
  switch (action) {
    case UnitAction::kNone:
      return;
    case UnitAction::kLaunch:
      return StartOne(component);
    case UnitAction::kSignal: {
      const ReaperCommand command{static_cast<int32_t>(component.profile->lifecycle.stop_signal),
                                  0};
      Lifecycle(component, "stop", "done");
      if (component.accepts()) return StopAccepting(component);
      if (send(component.control.get(), &command, sizeof command, MSG_NOSIGNAL | MSG_DONTWAIT) <
          0) {
        KillAll(component);
      }
      Release(component);
      return;
    }
    case UnitAction::kKill:
      return KillAll(component);
    case UnitAction::kBecameReady:
      if (component.instance != 0) return;
      Lifecycle(component, "ready", "done");
      return StartReady();
    case UnitAction::kGaveUp:
      if (component.instance != 0) return;
      Lifecycle(component, "give-up", "failed");
      if (component.profile->lifecycle.critical) {
        Status("`" + component.profile->name + "` is critical and can't be kept up: ending");
        stopping_ = true;
        exit_code_ = std::max(exit_code_, 1);
      }
      return;
  }
}
void Supervisor::OnRefusals(Component& component, uint32_t revents) {
  Notification call;
  SeccompListener::State state = component.listener.Receive(call, revents);
  // A closed listener would report its hang-up for ever.
  if (state == SeccompListener::State::kClosed) Unwatch(component.listener.fd());
  // All that are there are taken at once, and one of them is answered.
  std::optional<Notification> first;
  const uint64_t end = NowNs() + kTurnTime;
  for (uint32_t n = 0; state == SeccompListener::State::kCall && !component.ending; ++n) {
    if (n == 0 && !component.muted) {
      first = call;
    } else {
      Defer(component, call);
    }
    if (NowNs() >= end || component.full || !component.listener) break;
    state = component.listener.Receive(call);
  }
  if (!first) return;
  if (component.ending) return RecordGone(component, *first);
  AnswerCall(component, *first);
}

void Supervisor::AnswerCall(Component& component, const Notification& call) {
  if (component.launch_pending && call.pid == component.pid &&
      call.data.nr == component.plan->launch_call) {
    component.launch_pending = false;
    const bool barrier = call.data.nr == kBarrierCall;
    component.listener.Respond(call, barrier ? Answer::kAbsent : Answer::kContinue);
    if (component.profile->on_violation == OnViolation::kObserve) Observe(component);
    return;
  }
  if (IsStartupCall(component, call.data)) {
    // Judged by registers, which nobody changes while it waits.
    component.listener.Respond(call, Answer::kContinue);
    SpendAnswer(component);
    return;
  }
  if (const auto kind = BrokeredKind(component, call)) return Broker(component, call, *kind);
  const bool is_absent = IsAbsent(component, call);
  if (!is_absent && ReadsArguments(component, call)) {
    BrokeredCall reading{call, BrokerRequest::Kind::kRead};
    if (HandOver(component, reading)) return;
  }
  Event event = CallerEvent(component, call);
  // Who can be answered was there all the time, so that number was its own.
  // Until its exec has passed all of it is its witness.
  const bool tries = component.launch_pending;
  const bool violates = !is_absent && !tries;
  const Answer answer = is_absent ? Answer::kAbsent : Answer::kRefuse;
  const bool waited =
      violates ? AnswerViolation(component, call) : component.listener.Respond(call, answer);
  if (!waited) event.exe.clear();
  DescribeRefusal(event, component, call, is_absent);
  if (tries) event.kind = EventKind::kWitness;
  if (violates) {
    Violation(component, std::move(event));
  } else {
    log_.Append(std::move(event));
  }
  SpendAnswer(component);
}

void Supervisor::SpendAnswer(Component& component) {
  if (++component.spent > kNotificationBudget) component.muted = true;
}

bool Supervisor::IsAbsent(const Component& component, const Notification& call) {
  return std::ranges::binary_search(component.profile->absent, call.data.nr);
}

// A call that was not received yet can be taken back by any signal, and nobody knows of it
// (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV), so all are received, and answered later. Where a
// violation ends it, none may go unseen: so more of them than are kept end it as well.
void Supervisor::Defer(Component& component, const Notification& call) {
  const bool violates = !component.launch_pending && !IsStartupCall(component, call.data) &&
                        !BrokeredKind(component, call) && !IsAbsent(component, call);
  if (violates && EndsByViolation(component)) return AnswerCall(component, call);
  (BrokeredKind(component, call) ? component.queued : component.deferred).push_back(call);
  if (Deferred(component) < kMaxDeferred) return;
  component.full = true;
  Unwatch(component.listener.fd());
  if (EndsByViolation(component)) {
    Lifecycle(component, "violation", "killed",
              std::to_string(kMaxDeferred) + " of its calls wait, and no more are kept");
    return KillAll(component);
  }
  component.unpurged = {component.deferred.size(), component.queued.size()};
}

size_t Supervisor::Deferred(const Component& component) {
  return component.deferred.size() + component.queued.size();
}

// As many in a second as are kept: who has callers killed at full speed makes more of them.
void Supervisor::PurgeDeferred(Component& component, std::deque<Notification>& calls,
                               size_t& unpurged) {
  const uint64_t end = NowNs() + kTurnTime / 2;
  while (unpurged > 0 && component.purges > 0 && NowNs() < end) {
    if (calls.empty()) {
      unpurged = 0;
      return;
    }
    --unpurged;
    const Notification call = calls.front();
    calls.pop_front();
    --component.purges;
    if (component.listener.IsValid(call)) {
      calls.push_back(call);
    } else {
      RecordGone(component, call);
    }
  }
}

// Its caller was killed before it was answered.
void Supervisor::RecordGone(Component& component, const Notification& call) {
  if (IsStartupCall(component, call.data)) return;
  if (const auto kind = BrokeredKind(component, call)) {
    return RecordCut(component, {{call, *kind}, {}});
  }
  Event event = RefusalEvent(component, call);
  event.extra.push_back({"caller", "ended"});
  if (IsAbsent(component, call)) event.kind = EventKind::kAbsent;
  log_.Append(std::move(event));
}

void Supervisor::AnswerDeferred(Component& component) {
  PurgeDeferred(component, component.deferred, component.unpurged[0]);
  PurgeDeferred(component, component.queued, component.unpurged[1]);
  for (uint32_t n = 0; n < kDeferredATurn && MayAnswerDeferred(component); ++n) {
    // Who waits for the broker is in nobody else's way.
    auto& calls = component.deferred.empty() ? component.queued : component.deferred;
    const Notification call = calls.front();
    calls.pop_front();
    AnswerCall(component, call);
  }
  const bool room = Deferred(component) < kMaxDeferred;
  if (!component.full || !room || component.ending || !component.listener) return;
  component.full = false;
  Watch(Role::kListener, IndexOf(component), component.listener.fd());
}

bool Supervisor::MayAnswerDeferred(const Component& component) {
  if (component.muted || component.ending) return false;
  return !component.deferred.empty() ||
         (!component.queued.empty() && component.waiting.size() < kMaxWaiting);
}

// What the policy allows until the component is ready. Its word that it is may be there already.
bool Supervisor::IsStartupCall(Component& component, const SeccompData& data) {
  const Filter& startup = component.profile->startup;
  if (startup.empty() || component.launch_pending) return false;
  if (Evaluate(startup, data).action != kRetAllow) return false;
  for (size_t turn = 0; turn < kMaxReadyReads && OnControl(component); ++turn) {
  }
  const UnitState state = component.unit.state();
  return state == UnitState::kLaunching || state == UnitState::kStarting;
}

bool Supervisor::OnControl(Component& component) {
  if (!component.control) return false;
  ReaperMessage message;
  const ssize_t size = TakeMessage(component.control.get(), message);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (size != sizeof message) {
    // The reaper is gone or talks nonsense; its death ends the run.
    Unwatch(component.control.get());
    KillAll(component);
    return false;
  }
  switch (message.kind) {
    case ReaperMessage::Kind::kFailure:
      FailLaunch(component, FailureText(component, message.failure));
      return false;
    case ReaperMessage::Kind::kReady:
      Act(component, component.unit.OnReady(NowMs()));
      return true;
    case ReaperMessage::Kind::kAlive:
      component.unit.OnAlive(NowMs());
      return true;
    case ReaperMessage::Kind::kStopped:
      // It may be of an earlier one.
      if (++component.stops_said == component.stops_told) component.stopped_since = NowMs();
      return true;
    case ReaperMessage::Kind::kExit:
      component.exit_status = message.status;
      return true;
  }
  KillAll(component);
  return false;
}

bool Supervisor::OnOutput(Component& component, bool err) {
  Fd& fd = err ? component.err : component.out;
  if (!fd) return false;
  std::array<char, 8192> bytes;
  const ssize_t size = read(fd.get(), bytes.data(), bytes.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (size <= 0) {
    Unwatch(fd.get());
    return false;
  }
  const std::string label = NameOf(component) + std::string(kLabelEnd);
  LineLog& lines = err ? component.err_lines : component.out_lines;
  const std::string text = lines.Feed({bytes.data(), static_cast<size_t>(size)}, label);
  PassOn(component, err, text, label);
  // What is written of short lines is mostly their labels.
  SpendOutput(component, std::max(static_cast<size_t>(size), text.size()));
  return true;
}

void Supervisor::PassOn(Component& component, bool err, const std::string& lines,
                        const std::string& label) {
  const size_t place = static_cast<size_t>(&component.profile - bundle_.components().data());
  output_.Write(place, err, lines, label.size(), NowMs());
  Remember(component, lines, label.size());
}

void Supervisor::SpendOutput(Component& component, size_t bytes) {
  component.written += static_cast<uint32_t>(bytes);
  if (component.written <= kOutputBudget || component.choked) return;
  component.choked = true;
  for (const Fd* fd : {&component.out, &component.err}) {
    if (*fd) Unwatch(fd->get());
  }
}

// Looks at the kernel's list of listening sockets of the component's own network namespace, or for
// the stated file: both without opening anything of the component.
void Supervisor::CheckListening(Component& component) {
  const Readiness& ready = component.profile->lifecycle.ready;
  if (component.unit.state() != UnitState::kStarting) return;
  const uint64_t began = NowNs();
  if (began < component.next_look) return;
  Look(component, ready);
  // However much others make of it, it takes one part in twenty.
  const uint64_t end = NowNs();
  component.next_look = end + std::max(kLookInterval, 20 * (end - began));
}

void Supervisor::Look(Component& component, const Readiness& ready) {
  if (ready.kind == ReadyKind::kFile) {
    // The same root as the component's; but its reaper never executes anything (decisions, 76).
    const std::string root = "/proc/" + std::to_string(component.reaper) + "/root";
    if (OpenWithoutLinks(root, ready.path, O_PATH)) Act(component, component.unit.OnReady(NowMs()));
    return;
  }
  if (ready.kind != ReadyKind::kListening) return;
  if (OwnsSocket(ready.path, component.profile->uid) &&
      component.listens.Look(component.pid, ready.path)) {
    Act(component, component.unit.OnReady(NowMs()));
  }
}

void Supervisor::KillAll(Component& component) {
  if (component.reaper <= 0 || component.ending) return;
  // The reaper is our child and not yet waited for, so the pid is its. Its death takes the PID
  // namespace along; but not before it has closed what was sent to it, so each is killed, too,
  // where one call does that; else the first of them.
  kill(component.reaper, SIGKILL);
  const bool whole = component.cgroup && component.cgroup->KillAtOnce();
  if (!whole && component.pidfd) {
    syscall(SYS_pidfd_send_signal, component.pidfd.get(), SIGKILL, nullptr, 0);
  }
  // Nothing is answered any more. Its workers are ended at the end of this turn: one of them may
  // have brought this about.
  component.ending = true;
  if (component.listener) Unwatch(component.listener.fd());
}

// A descendant that escaped the namespace's end can't exist, so the pipe holds what it holds.
void Supervisor::ReadLast(Component& component, bool err) {
  Component& owner = OwnerOf(component);
  const Fd& fd = err ? component.err : component.out;
  for (bool more = true; more && owner.last_output < kLastOutput;) {
    const uint32_t before = component.written;
    more = OnOutput(component, err);
    owner.last_output += component.written - before;
  }
  int left = 0;
  if (fd && ioctl(fd.get(), FIONREAD, &left) == 0) owner.unread += static_cast<uint64_t>(left);
}

void Supervisor::OnReaperDead(Component& component) {
  component.reaper = kReaped;
  // What was written before the end is still in the pipes and sockets. Of the kernel's records one
  // turn is read, as other components may be refused without end; later ones find this run by its
  // pid.
  if (kernel_audit_) kernel_audit_->Drain(AuditHandler());
  SettleLaunch(component);
  for (size_t turn = 0; turn < kMaxLastMessages && OnControl(component); ++turn) {
  }
  for (const bool err : {false, true}) ReadLast(component, err);
  component.reaper = -1;
  FinishObserver(component);
  RecordLimits(component);
  const int status = component.exit_status;
  const UnitState before = component.unit.state();
  const bool wanted = before == UnitState::kStopping;
  const bool failed = !wanted && status != 0;
  Lifecycle(component, "exit", failed ? "failed" : "done",
            ExitText(status, before != UnitState::kLaunching));
  if (failed && component.violations != 0) {
    const std::string times =
        component.violations == 1 ? "once" : std::to_string(component.violations) + " times";
    Status("`" + NameOf(component) + "` was refused something " + times +
           " in this run, the last `" + component.last_refused + "`: see the audit log");
  }
  CloseRun(component);
  if (component.instance == 0) {
    CloseListeners(component.profile, component.handover);
    CloseEdges(component.profile);
  }
  EndRun(component, status);
}

void Supervisor::EndRun(Component& component, int status) {
  Act(component, component.unit.OnExit(status, NowMs(), Jitter()));
  EndInstance(component);
}

void Supervisor::CloseRun(Component& component) {
  for (Fd* fd : {&component.control, &component.handshake, &component.installed, &component.out,
                 &component.err}) {
    if (*fd) Unwatch(fd->get());
    fd->Reset();
  }
  CloseAttestation(component);
  CloseWorkers(component);
  if (component.listener) Unwatch(component.listener.fd());
  component.listener = {};
  component.listens = {};
  if (component.observer) Unwatch(component.observer->fd());
  component.observer.reset();
  component.pidfd.Reset();
  const std::string label = NameOf(component) + std::string(kLabelEnd);
  for (const bool err : {false, true}) {
    PassOn(component, err, (err ? component.err_lines : component.out_lines).Finish(label), label);
  }
  if (component.pid > 0) past_runs_.Add(component.pid, IndexOf(component));
  component.pid = -1;
  component.witnessed.reset();
  component.root_device = 0;
  component.pid_namespace = 0;
  component.muted = component.choked = component.ending = false;
  component.purges = kMaxDeferred;
  component.unpurged = {};
  component.written = 0;
  component.held = component.held_before = false;
  component.runs_on = false;
  component.ran_on = 0;
  component.stops_told = component.stops_said = 0;
  component.violations = 0;
  // Its cgroup stays: what a run leaves behind, such as files in memory that it passed to others,
  // counts against the limit of the next.
  if (component.cgroup) component.cgroup->Kill();
  CloseElsewhere(component.connection);
}

}  // namespace bulkhead
