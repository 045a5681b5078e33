// SPDX-License-Identifier: Apache-2.0
// A component with `on-violation: observe`, as the supervisor sees it: what its observer tells goes
// on record.
#include <poll.h>

#include "engine/supervisor.h"

namespace bulkhead {
namespace {

constexpr int kMaxTurns = 64;    // messages before others have their turn
constexpr int kLastWait = 1000;  // ms, for what an observer tells at the end
constexpr int kMaxLast = 65536;  // messages of it

std::string_view VerdictText(Observation::Verdict verdict) {
  return verdict == Observation::Verdict::kPassed ? "passed" : "refused";
}

}  // namespace

void Supervisor::Observe(Component& component) {
  auto observer = Observer::Start(component.listener, component.profile);
  Unwatch(component.listener.fd());
  component.listener = {};
  // Nobody answers then, and calls of a filter without a listener fail.
  if (!observer) return FailLaunch(component, "no process to observe it");
  component.observer = std::move(*observer);
  Watch(Role::kObserver, IndexOf(component), component.observer->fd());
}

void Supervisor::Record(Component& component, const Observation& told) {
  Event event;
  event.component = component.profile->name;
  event.pid = told.pid;
  event.exe = told.exe;
  event.count = told.count;
  event.control = told.control;
  event.action = told.action;
  event.object = told.object;
  event.verdict = VerdictText(told.verdict);
  event.rule = "components." + event.component +
               (told.control == "seccomp" ? ".syscalls" : "." + told.control);
  if (!told.real.empty()) {
    event.extra = {{"type", told.real.substr(0, 1)}, {"real", told.real.substr(1)}};
  }
  switch (told.verdict) {
    case Observation::Verdict::kPassed:
      event.kind = EventKind::kObserved;
      break;
    case Observation::Verdict::kAbsent:
      event.kind = EventKind::kAbsent;
      event.error = "ENOSYS";
      break;
    case Observation::Verdict::kRefused:
      event.kind = EventKind::kViolation;
      event.error = "EPERM";
      component.last_refused = told.action;
      Violated(component);
      break;
  }
  log_.Append(std::move(event));
}

void Supervisor::OnObserver(Component& component) {
  for (int turn = 0; turn < kMaxTurns && component.observer; ++turn) {
    Observation told;
    const Observer::State state = component.observer->Receive(told);
    if (state == Observer::State::kNothing) return;
    if (state == Observer::State::kTold) {
      Record(component, told);
      continue;
    }
    Unwatch(component.observer->fd());
    component.observer.reset();
    if (state == Observer::State::kEnded) return;
    Lifecycle(component, "observe", "failed", "its observer died");
    return KillAll(component);
  }
}

// All of the component is dead, so its observer sees the end of the listener and tells the rest.
void Supervisor::FinishObserver(Component& component) {
  for (int turn = 0; turn < kMaxLast && component.observer; ++turn) {
    pollfd ready{component.observer->fd(), POLLIN, 0};
    if (poll(&ready, 1, kLastWait) != 1) return;
    OnObserver(component);
  }
}

}  // namespace bulkhead
