// SPDX-License-Identifier: Apache-2.0
#include "engine/unit.h"

#include <sys/wait.h>

#include <algorithm>

namespace bulkhead {
namespace {

constexpr uint64_t kFirstBackoff = 100;  // ms
constexpr uint64_t kLongestBackoff = 5000;

}  // namespace

std::string_view UnitStateName(UnitState state) {
  switch (state) {
    case UnitState::kWaiting:
      return "waiting";
    case UnitState::kLaunching:
      return "launching";
    case UnitState::kStarting:
      return "starting";
    case UnitState::kUp:
      return "up";
    case UnitState::kStopping:
      return "stopping";
    case UnitState::kBackoff:
      return "backoff";
    case UnitState::kDone:
      return "done";
    case UnitState::kFailed:
      return "failed";
  }
  return "unknown";
}

bool Unit::running() const {
  return state_ == UnitState::kLaunching || state_ == UnitState::kStarting ||
         state_ == UnitState::kUp || state_ == UnitState::kStopping;
}

UnitAction Unit::Launch(uint64_t now) {
  again_ = killed_ = false;
  state_ = UnitState::kLaunching;
  deadline_ = now + lifecycle_->ready.within_ms;
  return UnitAction::kLaunch;
}

UnitAction Unit::OnDependenciesReady(uint64_t now) {
  return state_ == UnitState::kWaiting ? Launch(now) : UnitAction::kNone;
}

void Unit::OnServerMissing() {
  if (state_ != UnitState::kLaunching) return;
  state_ = UnitState::kWaiting;
  deadline_ = 0;
}

UnitAction Unit::Up(uint64_t now) {
  state_ = UnitState::kUp;
  const uint32_t most = lifetime_ms_ != 0 ? lifetime_ms_ : lifecycle_->watchdog_ms;
  deadline_ = most == 0 ? 0 : now + most;
  was_ready_ = true;
  return UnitAction::kBecameReady;
}

UnitAction Unit::OnExecuted(uint64_t now) {
  if (state_ != UnitState::kLaunching) return UnitAction::kNone;
  if (lifecycle_->ready.kind == ReadyKind::kStarted) return Up(now);
  state_ = UnitState::kStarting;
  deadline_ = now + lifecycle_->ready.within_ms;
  return UnitAction::kNone;
}

UnitAction Unit::OnReady(uint64_t now) {
  return state_ == UnitState::kStarting ? Up(now) : UnitAction::kNone;
}

void Unit::OnAlive(uint64_t now) {
  // Not after its deadline: then it is being killed.
  const bool waits = state_ == UnitState::kUp && deadline_ != 0 && lifetime_ms_ == 0;
  if (waits) deadline_ = now + lifecycle_->watchdog_ms;
}

UnitAction Unit::OnExit(int status, uint64_t now, uint32_t random) {
  const bool clean = status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  switch (state_) {
    case UnitState::kStopping:
      state_ = UnitState::kDone;
      deadline_ = 0;
      return again_ ? Launch(now) : UnitAction::kNone;
    case UnitState::kStarting: {
      const Readiness& ready = lifecycle_->ready;
      if (ready.kind == ReadyKind::kExit && !killed_ && status != -1 && WIFEXITED(status) &&
          static_cast<uint32_t>(WEXITSTATUS(status)) == ready.exit_code) {
        state_ = UnitState::kDone;
        deadline_ = 0;
        was_ready_ = true;
        return UnitAction::kBecameReady;
      }
      return Fail(now, true, random);
    }
    case UnitState::kLaunching:
      return Fail(now, true, random);
    case UnitState::kUp:
      return Fail(now, !clean, random);
    case UnitState::kWaiting:
    case UnitState::kBackoff:
    case UnitState::kDone:
    case UnitState::kFailed:
      return UnitAction::kNone;
  }
  return UnitAction::kNone;
}

UnitAction Unit::Fail(uint64_t now, bool failure, uint32_t random) {
  killed_ = false;
  deadline_ = 0;
  const bool again = lifecycle_->restart == RestartWhen::kAlways ||
                     (lifecycle_->restart == RestartWhen::kOnFailure && failure);
  if (!again) {
    state_ = failure ? UnitState::kFailed : UnitState::kDone;
    return failure ? UnitAction::kGaveUp : UnitAction::kNone;
  }
  while (!recent_.empty() && recent_.front() + lifecycle_->restart_within_ms < now) {
    recent_.pop_front();
  }
  if (recent_.size() >= lifecycle_->restart_at_most) {
    state_ = UnitState::kFailed;
    return UnitAction::kGaveUp;
  }
  const uint64_t doubled = kFirstBackoff << std::min<size_t>(recent_.size(), 16);
  const uint64_t wait = std::min(doubled, kLongestBackoff);
  recent_.push_back(now);
  ++restarts_;
  state_ = UnitState::kBackoff;
  deadline_ = now + wait + random % (wait / 4 + 1);
  return UnitAction::kNone;
}

UnitAction Unit::OnDeadline(uint64_t now) {
  if (deadline_ == 0 || now < deadline_) return UnitAction::kNone;
  switch (state_) {
    case UnitState::kBackoff:
      return Launch(now);
    case UnitState::kLaunching:
    case UnitState::kStarting:
    case UnitState::kUp:
    case UnitState::kStopping:
      deadline_ = 0;
      killed_ = true;
      return UnitAction::kKill;
    case UnitState::kWaiting:
    case UnitState::kDone:
    case UnitState::kFailed:
      deadline_ = 0;
      return UnitAction::kNone;
  }
  return UnitAction::kNone;
}

UnitAction Unit::Stop(uint64_t now) {
  again_ = false;
  switch (state_) {
    case UnitState::kWaiting:
    case UnitState::kBackoff:
      state_ = UnitState::kDone;
      deadline_ = 0;
      return UnitAction::kNone;
    case UnitState::kLaunching:
      // Not yet the program: there is nothing to end politely.
      state_ = UnitState::kStopping;
      deadline_ = 0;
      return UnitAction::kKill;
    case UnitState::kStarting:
    case UnitState::kUp:
      state_ = UnitState::kStopping;
      deadline_ = now + lifecycle_->stop_within_ms;
      return UnitAction::kSignal;
    case UnitState::kStopping:
    case UnitState::kDone:
    case UnitState::kFailed:
      return UnitAction::kNone;
  }
  return UnitAction::kNone;
}

UnitAction Unit::Restart(uint64_t now) {
  switch (state_) {
    case UnitState::kWaiting:
    case UnitState::kLaunching:
      return UnitAction::kNone;  // it is about to start
    case UnitState::kStarting:
    case UnitState::kUp: {
      const UnitAction action = Stop(now);
      again_ = true;
      return action;
    }
    case UnitState::kStopping:
      again_ = true;
      return UnitAction::kNone;
    case UnitState::kBackoff:
    case UnitState::kDone:
    case UnitState::kFailed:
      return Launch(now);
  }
  return UnitAction::kNone;
}

}  // namespace bulkhead
