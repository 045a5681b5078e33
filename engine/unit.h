// SPDX-License-Identifier: Apache-2.0
// The life of one component as a pure state machine: the supervisor feeds it what happened and does
// what it answers. No clock, no process and no descriptor in here; times are milliseconds of one
// monotonic clock. Not thread-safe; one owner.
//
//   Waiting    its `after` components are not all ready, or one that it is to be connected to is
//   not
//              up. When they are: launch.
//   Launching  the process confines itself. Executed: Starting (or Up when ready: started).
//              A step that failed ends the boot if this is the first start, else counts as a
//              failure.
//   Starting   executed, not ready. Ready: Up. At `ready.within`: killed, counts as a failure.
//   Up         ready. An exit is a failure unless status 0. One with a lifetime is killed at its
//              end, one with a watchdog when it was silent for that long.
//   Stopping   the stop signal was delivered; at `stop within` everything of it is killed. By
//              Restart its end is followed by Launching.
//   Backoff    waits before the next start: 100 ms doubled with each restart in the window, at most
//              5 s, plus up to a quarter of jitter.
//   Done       ended as it should (exit 0 where that ends it, `ready: exit`, or stopped).
//   Failed     its restart budget is used up, or it may not be restarted. A critical component
//              takes the enclave down.
//
// An instance is a unit with a lifetime that is never restarted: a new one is made for each
// connection.
//
// Restarts: `never`, `on-failure` (exit status not 0, or a signal), `always`; at most
// `restart.at-most` in `restart.within`. A component that became ready once satisfies its
// dependents; its restart does not stop them.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>

#include "profiles/profile.h"

namespace bulkhead {

enum class UnitState : uint8_t {
  kWaiting,
  kLaunching,
  kStarting,
  kUp,
  kStopping,
  kBackoff,
  kDone,
  kFailed
};
std::string_view UnitStateName(UnitState state);

enum class UnitAction : uint8_t {
  kNone,
  kLaunch,       // start it now
  kSignal,       // deliver the stop signal
  kKill,         // kill all of it
  kBecameReady,  // tell the dependents
  kGaveUp,       // Failed: on record
};

class Unit {
 public:
  // A lifetime of 0 has no end.
  explicit Unit(const Lifecycle& lifecycle, uint32_t lifetime_ms = 0)
      : lifecycle_(&lifecycle), lifetime_ms_(lifetime_ms) {}

  UnitState state() const { return state_; }
  bool satisfied() const { return was_ready_; }  // for those that start after it
  // Whether a process of it may exist.
  bool running() const;
  uint32_t restarts() const { return restarts_; }  // over its whole life
  // When OnDeadline is due, in ms; 0 for never.
  uint64_t deadline() const { return deadline_; }

  UnitAction OnDependenciesReady(uint64_t now);
  // Launching, before anything was done: one that it is to be connected to is not up.
  void OnServerMissing();
  UnitAction OnExecuted(uint64_t now);
  UnitAction OnReady(uint64_t now);
  void OnAlive(uint64_t now);  // it said so to its watchdog
  // The process ended with a wait status, or never came to execute (`status` -1).
  UnitAction OnExit(int status, uint64_t now, uint32_t random);
  UnitAction OnDeadline(uint64_t now);
  UnitAction Stop(uint64_t now);
  // Stopped and started again, whatever state it is in but Waiting; no failure, and nothing of its
  // restart budget.
  UnitAction Restart(uint64_t now);

 private:
  UnitAction Fail(uint64_t now, bool failure, uint32_t random);
  UnitAction Up(uint64_t now);
  UnitAction Launch(uint64_t now);

  const Lifecycle* lifecycle_;
  uint32_t lifetime_ms_ = 0;
  UnitState state_ = UnitState::kWaiting;
  bool was_ready_ = false;
  bool killed_ = false;
  bool again_ = false;  // Stopping: to be started at its end
  uint32_t restarts_ = 0;
  uint64_t deadline_ = 0;
  std::deque<uint64_t> recent_;  // times of restarts inside the window; at most at-most entries
};

}  // namespace bulkhead
