// SPDX-License-Identifier: Apache-2.0
#include "engine/unit.h"

#include <boost/test/unit_test.hpp>

namespace bulkhead {
namespace {

constexpr int kExit0 = 0;
constexpr int kExit1 = 1 << 8;
constexpr int kKilled = 9;

Lifecycle Make(ReadyKind ready, RestartWhen restart = RestartWhen::kOnFailure) {
  Lifecycle lifecycle;
  lifecycle.ready.kind = ready;
  lifecycle.ready.within_ms = 1000;
  lifecycle.restart = restart;
  lifecycle.restart_at_most = 2;
  lifecycle.restart_within_ms = 60000;
  return lifecycle;
}

BOOST_AUTO_TEST_SUITE(UnitStates)

BOOST_AUTO_TEST_CASE(StartsBecomesReadyAndStops) {
  const Lifecycle lifecycle = Make(ReadyKind::kNotify);
  Unit unit(lifecycle);
  BOOST_TEST((unit.OnDependenciesReady(10) == UnitAction::kLaunch));
  BOOST_TEST((unit.OnReady(11) == UnitAction::kNone));  // not executed yet
  BOOST_TEST((unit.OnExecuted(12) == UnitAction::kNone));
  BOOST_TEST(!unit.satisfied());
  BOOST_TEST((unit.OnReady(20) == UnitAction::kBecameReady));
  BOOST_TEST(unit.satisfied());
  BOOST_TEST((unit.Stop(30) == UnitAction::kSignal));
  BOOST_TEST(unit.deadline() == 30 + lifecycle.stop_within_ms);
  BOOST_TEST((unit.OnExit(kKilled, 40, 0) == UnitAction::kNone));
  BOOST_TEST((unit.state() == UnitState::kDone));
}

BOOST_AUTO_TEST_CASE(StartedIsReadyWhenExecuted) {
  const Lifecycle lifecycle = Make(ReadyKind::kStarted);
  Unit unit(lifecycle);
  unit.OnDependenciesReady(0);
  BOOST_TEST((unit.OnExecuted(1) == UnitAction::kBecameReady));
}

BOOST_AUTO_TEST_CASE(NotReadyInTimeIsKilledAndCounts) {
  const Lifecycle lifecycle = Make(ReadyKind::kNotify);
  Unit unit(lifecycle);
  unit.OnDependenciesReady(0);
  unit.OnExecuted(0);
  BOOST_TEST((unit.OnDeadline(999) == UnitAction::kNone));
  BOOST_TEST((unit.OnDeadline(1000) == UnitAction::kKill));
  unit.OnExit(kKilled, 1001, 0);
  BOOST_TEST((unit.state() == UnitState::kBackoff));
  BOOST_TEST(unit.restarts() == 1U);
}

BOOST_AUTO_TEST_CASE(BudgetEndsInFailureAndBackoffDoubles) {
  const Lifecycle lifecycle = Make(ReadyKind::kStarted);
  Unit unit(lifecycle);
  unit.OnDependenciesReady(0);
  uint64_t now = 0;
  for (const uint64_t wait : {100U, 200U}) {
    unit.OnExecuted(now);
    BOOST_TEST((unit.OnExit(kExit1, now, 0) == UnitAction::kNone));
    BOOST_TEST(unit.deadline() == now + wait);
    now = unit.deadline();
    BOOST_TEST((unit.OnDeadline(now) == UnitAction::kLaunch));
  }
  unit.OnExecuted(now);
  BOOST_TEST((unit.OnExit(kExit1, now, 0) == UnitAction::kGaveUp));
  BOOST_TEST((unit.state() == UnitState::kFailed));
}

BOOST_AUTO_TEST_CASE(RestartsOutsideTheWindowAreForgotten) {
  const Lifecycle lifecycle = Make(ReadyKind::kStarted);
  Unit unit(lifecycle);
  unit.OnDependenciesReady(0);
  uint64_t now = 0;
  for (int i = 0; i < 10; ++i) {
    unit.OnExecuted(now);
    unit.OnExit(kExit1, now, 0);
    BOOST_TEST((unit.state() == UnitState::kBackoff));
    now += 70000;
    unit.OnDeadline(now);
  }
}

BOOST_AUTO_TEST_CASE(JitterIsAtMostAQuarter) {
  const Lifecycle lifecycle = Make(ReadyKind::kStarted);
  for (const uint32_t random : {0U, 7U, 0xffffffffU}) {
    Unit unit(lifecycle);
    unit.OnDependenciesReady(0);
    unit.OnExecuted(0);
    unit.OnExit(kExit1, 0, random);
    BOOST_TEST(unit.deadline() >= 100U);
    BOOST_TEST(unit.deadline() <= 125U);
  }
}

struct RestartRow {
  RestartWhen when;
  int status;
  UnitState after;
};

BOOST_AUTO_TEST_CASE(RestartRules) {
  const RestartRow kRows[] = {
      {RestartWhen::kNever, kExit0, UnitState::kDone},
      {RestartWhen::kNever, kExit1, UnitState::kFailed},
      {RestartWhen::kOnFailure, kExit0, UnitState::kDone},
      {RestartWhen::kOnFailure, kExit1, UnitState::kBackoff},
      {RestartWhen::kOnFailure, kKilled, UnitState::kBackoff},
      {RestartWhen::kAlways, kExit0, UnitState::kBackoff},
  };
  for (const RestartRow& row : kRows) {
    const Lifecycle lifecycle = Make(ReadyKind::kStarted, row.when);
    Unit unit(lifecycle);
    unit.OnDependenciesReady(0);
    unit.OnExecuted(0);
    unit.OnExit(row.status, 5, 0);
    BOOST_TEST((unit.state() == row.after));
  }
}

BOOST_AUTO_TEST_CASE(ReadyByExit) {
  Lifecycle lifecycle = Make(ReadyKind::kExit);
  lifecycle.ready.exit_code = 1;
  Unit good(lifecycle);
  good.OnDependenciesReady(0);
  good.OnExecuted(0);
  BOOST_TEST((good.OnExit(kExit1, 1, 0) == UnitAction::kBecameReady));
  BOOST_TEST((good.state() == UnitState::kDone));
  Unit bad(lifecycle);
  bad.OnDependenciesReady(0);
  bad.OnExecuted(0);
  BOOST_TEST((bad.OnExit(kExit0, 1, 0) == UnitAction::kNone));
  BOOST_TEST((bad.state() == UnitState::kBackoff));
}

BOOST_AUTO_TEST_CASE(StoppingDuringLaunchKills) {
  const Lifecycle lifecycle = Make(ReadyKind::kStarted);
  Unit unit(lifecycle);
  unit.OnDependenciesReady(0);
  BOOST_TEST((unit.Stop(1) == UnitAction::kKill));
  unit.OnExit(-1, 2, 0);
  BOOST_TEST((unit.state() == UnitState::kDone));
}

BOOST_AUTO_TEST_CASE(ALifetimeIsKilledAtItsEnd) {
  const Lifecycle lifecycle = Make(ReadyKind::kStarted, RestartWhen::kNever);
  Unit unit(lifecycle, 5000);
  unit.OnDependenciesReady(0);
  BOOST_TEST((unit.OnExecuted(10) == UnitAction::kBecameReady));
  BOOST_TEST(unit.deadline() == 5010U);
  BOOST_TEST((unit.OnDeadline(5009) == UnitAction::kNone));
  BOOST_TEST((unit.OnDeadline(5010) == UnitAction::kKill));
  BOOST_TEST((unit.OnExit(kKilled, 5011, 0) == UnitAction::kGaveUp));
  BOOST_TEST(!unit.running());
  // Its own end before that is one, too; without a lifetime nothing is due.
  Unit quick(lifecycle, 5000);
  quick.OnDependenciesReady(0);
  quick.OnExecuted(0);
  quick.OnExit(kExit0, 100, 0);
  BOOST_TEST((quick.state() == UnitState::kDone));
  BOOST_TEST(quick.deadline() == 0U);
  Unit lasting(lifecycle);
  lasting.OnDependenciesReady(0);
  lasting.OnExecuted(0);
  BOOST_TEST(lasting.deadline() == 0U);
}

BOOST_AUTO_TEST_CASE(AWatchdogIsPutOffByASignOfLife) {
  Lifecycle lifecycle = Make(ReadyKind::kNotify);
  lifecycle.watchdog_ms = 2000;
  Unit unit(lifecycle);
  unit.OnDependenciesReady(0);
  unit.OnExecuted(0);
  unit.OnAlive(10);
  BOOST_TEST(unit.deadline() == 1000U);  // that it is not ready yet is another matter
  unit.OnReady(500);
  BOOST_TEST(unit.deadline() == 2500U);
  unit.OnAlive(2400);
  BOOST_TEST((unit.OnDeadline(4399) == UnitAction::kNone));
  BOOST_TEST((unit.OnDeadline(4400) == UnitAction::kKill));
  unit.OnAlive(4401);  // too late
  BOOST_TEST(unit.deadline() == 0U);
  unit.OnExit(kKilled, 4402, 0);
  BOOST_TEST((unit.state() == UnitState::kBackoff));
}

// A restart on request is no failure, whatever the state.
BOOST_AUTO_TEST_CASE(RestartOnRequest) {
  const Lifecycle lifecycle = Make(ReadyKind::kStarted);
  Unit unit(lifecycle);
  BOOST_TEST((unit.Restart(0) == UnitAction::kNone));  // its dependencies are not ready
  BOOST_TEST((unit.state() == UnitState::kWaiting));
  unit.OnDependenciesReady(0);
  BOOST_TEST((unit.Restart(1) == UnitAction::kNone));  // it is about to start
  unit.OnExecuted(1);
  for (uint64_t now = 10; now < 100; now += 10) {
    BOOST_TEST((unit.Restart(now) == UnitAction::kSignal));
    BOOST_TEST((unit.state() == UnitState::kStopping));
    BOOST_TEST((unit.OnExit(kExit1, now + 1, 0) == UnitAction::kLaunch));
    BOOST_TEST((unit.OnExecuted(now + 2) == UnitAction::kBecameReady));
  }
  BOOST_TEST(unit.restarts() == 0U);
  // One that does not hear the signal is killed, and starts.
  unit.Restart(200);
  BOOST_TEST((unit.OnDeadline(200 + lifecycle.stop_within_ms) == UnitAction::kKill));
  BOOST_TEST((unit.OnExit(kKilled, 6000, 0) == UnitAction::kLaunch));
  unit.OnExecuted(6001);
  // A stop after it takes it back, and a restart after a stop brings it back.
  unit.Restart(6100);
  BOOST_TEST((unit.Stop(6101) == UnitAction::kNone));
  BOOST_TEST((unit.OnExit(kExit0, 6102, 0) == UnitAction::kNone));
  BOOST_TEST((unit.state() == UnitState::kDone));
  BOOST_TEST((unit.Restart(6200) == UnitAction::kLaunch));
  unit.OnExecuted(6201);
  unit.Stop(6300);
  BOOST_TEST((unit.Restart(6301) == UnitAction::kNone));
  BOOST_TEST((unit.OnExit(kExit0, 6302, 0) == UnitAction::kLaunch));
}

BOOST_AUTO_TEST_CASE(AMissingServerIsWaitedForOutsideTheBudget) {
  Lifecycle lifecycle;
  lifecycle.restart_at_most = 1;
  Unit unit(lifecycle);
  BOOST_TEST((unit.OnDependenciesReady(0) == UnitAction::kLaunch));
  unit.OnServerMissing();
  BOOST_TEST((unit.state() == UnitState::kWaiting));
  BOOST_TEST(unit.deadline() == 0U);
  BOOST_TEST((unit.OnDependenciesReady(9) == UnitAction::kLaunch));
  unit.OnExecuted(10);
  // Its one restart finds no server twice, and is made when there is one.
  unit.OnExit(256, 20, 0);
  BOOST_TEST((unit.OnDeadline(200) == UnitAction::kLaunch));
  for (int i = 0; i < 2; ++i) {
    unit.OnServerMissing();
    BOOST_TEST((unit.OnDependenciesReady(300) == UnitAction::kLaunch));
  }
  BOOST_TEST(unit.restarts() == 1U);
  unit.OnExecuted(310);
  BOOST_TEST((unit.state() == UnitState::kUp));
  unit.OnServerMissing();  // means nothing once it runs
  BOOST_TEST((unit.state() == UnitState::kUp));
}

BOOST_AUTO_TEST_CASE(AUnitThatWaitsForAServerStops) {
  const Lifecycle lifecycle;
  Unit unit(lifecycle);
  unit.OnDependenciesReady(0);
  unit.OnServerMissing();
  BOOST_TEST((unit.Stop(1) == UnitAction::kNone));
  BOOST_TEST((unit.state() == UnitState::kDone));
}

BOOST_AUTO_TEST_CASE(RestartAfterItWasGivenUp) {
  const Lifecycle lifecycle = Make(ReadyKind::kStarted, RestartWhen::kNever);
  Unit unit(lifecycle);
  unit.OnDependenciesReady(0);
  unit.OnExecuted(0);
  BOOST_TEST((unit.OnExit(kExit1, 1, 0) == UnitAction::kGaveUp));
  BOOST_TEST((unit.Restart(2) == UnitAction::kLaunch));
  BOOST_TEST((unit.OnExecuted(3) == UnitAction::kBecameReady));
  const Lifecycle more = Make(ReadyKind::kStarted);
  Unit waiting(more);
  waiting.OnDependenciesReady(0);
  waiting.OnExecuted(0);
  waiting.OnExit(kExit1, 1, 0);
  BOOST_TEST((waiting.state() == UnitState::kBackoff));
  BOOST_TEST((waiting.Restart(2) == UnitAction::kLaunch));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
