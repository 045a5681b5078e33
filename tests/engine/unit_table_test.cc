// SPDX-License-Identifier: Apache-2.0
// The whole state machine of engine/unit.h: what each event comes to in each state.
#include <boost/test/unit_test.hpp>

#include <array>
#include <string>

#include "engine/unit.h"

namespace bulkhead {
namespace {

using State = UnitState;
using Do = UnitAction;

constexpr int kWell = 0;
constexpr int kBadly = 1 << 8;
constexpr uint64_t kNow = 1000;
constexpr uint64_t kLater = 1000000;  // after every deadline

struct Event {
  const char* name;
  Do (*happens)(Unit& unit);
};

constexpr Event kEvents[] = {
    {"dependencies ready", [](Unit& u) { return u.OnDependenciesReady(kNow); }},
    {"server missing", [](Unit& u) { return u.OnServerMissing(), Do::kNone; }},
    {"executed", [](Unit& u) { return u.OnExecuted(kNow); }},
    {"ready", [](Unit& u) { return u.OnReady(kNow); }},
    {"exit, well", [](Unit& u) { return u.OnExit(kWell, kNow, 0); }},
    {"exit, badly", [](Unit& u) { return u.OnExit(kBadly, kNow, 0); }},
    {"deadline", [](Unit& u) { return u.OnDeadline(kLater); }},
    {"stop", [](Unit& u) { return u.Stop(kNow); }},
    {"restart", [](Unit& u) { return u.Restart(kNow); }},
};
constexpr size_t kCount = std::size(kEvents);

struct Cell {
  State next;
  Do action = Do::kNone;
};

struct Row {
  State state;
  std::array<Cell, kCount> cells;  // in the order of kEvents
};

// Ready by notify, restarted on failure, no watchdog.
constexpr Row kRows[] = {
    {State::kWaiting,
     {{{State::kLaunching, Do::kLaunch},
       {State::kWaiting},
       {State::kWaiting},
       {State::kWaiting},
       {State::kWaiting},
       {State::kWaiting},
       {State::kWaiting},
       {State::kDone},
       {State::kWaiting}}}},
    {State::kLaunching,
     {{{State::kLaunching},
       {State::kWaiting},
       {State::kStarting},
       {State::kLaunching},
       {State::kBackoff},
       {State::kBackoff},
       {State::kLaunching, Do::kKill},
       {State::kStopping, Do::kKill},
       {State::kLaunching}}}},
    {State::kStarting,
     {{{State::kStarting},
       {State::kStarting},
       {State::kStarting},
       {State::kUp, Do::kBecameReady},
       {State::kBackoff},
       {State::kBackoff},
       {State::kStarting, Do::kKill},
       {State::kStopping, Do::kSignal},
       {State::kStopping, Do::kSignal}}}},
    {State::kUp,
     {{{State::kUp},
       {State::kUp},
       {State::kUp},
       {State::kUp},
       {State::kDone},
       {State::kBackoff},
       {State::kUp},
       {State::kStopping, Do::kSignal},
       {State::kStopping, Do::kSignal}}}},
    {State::kStopping,
     {{{State::kStopping},
       {State::kStopping},
       {State::kStopping},
       {State::kStopping},
       {State::kDone},
       {State::kDone},
       {State::kStopping, Do::kKill},
       {State::kStopping},
       {State::kStopping}}}},
    {State::kBackoff,
     {{{State::kBackoff},
       {State::kBackoff},
       {State::kBackoff},
       {State::kBackoff},
       {State::kBackoff},
       {State::kBackoff},
       {State::kLaunching, Do::kLaunch},
       {State::kDone},
       {State::kLaunching, Do::kLaunch}}}},
    {State::kDone,
     {{{State::kDone},
       {State::kDone},
       {State::kDone},
       {State::kDone},
       {State::kDone},
       {State::kDone},
       {State::kDone},
       {State::kDone},
       {State::kLaunching, Do::kLaunch}}}},
    {State::kFailed,
     {{{State::kFailed},
       {State::kFailed},
       {State::kFailed},
       {State::kFailed},
       {State::kFailed},
       {State::kFailed},
       {State::kFailed},
       {State::kFailed},
       {State::kLaunching, Do::kLaunch}}}},
};

// A unit that has come there; one restart is left unless it has failed.
Unit Reach(const Lifecycle& lifecycle, State state) {
  Unit unit(lifecycle);
  if (state == State::kWaiting) return unit;
  unit.OnDependenciesReady(0);
  if (state == State::kLaunching) return unit;
  unit.OnExecuted(0);
  if (state == State::kStarting) return unit;
  unit.OnReady(0);
  if (state == State::kStopping) unit.Stop(0);
  if (state == State::kDone) unit.OnExit(kWell, 0, 0);
  if (state == State::kBackoff) unit.OnExit(kBadly, 0, 0);
  if (state == State::kFailed) {
    unit.OnExit(kBadly, 0, 0);
    unit.OnDeadline(kNow);
    unit.OnExit(kBadly, kNow, 0);
  }
  return unit;
}

BOOST_AUTO_TEST_SUITE(UnitTable)

BOOST_AUTO_TEST_CASE(EveryEventInEveryState) {
  Lifecycle lifecycle;
  lifecycle.ready = {ReadyKind::kNotify, {}, 0, 1000};
  lifecycle.restart = RestartWhen::kOnFailure;
  lifecycle.restart_at_most = 1;
  BOOST_TEST(std::size(kRows) == static_cast<size_t>(State::kFailed) + 1);
  for (const Row& row : kRows) {
    for (size_t i = 0; i < kCount; ++i) {
      Unit unit = Reach(lifecycle, row.state);
      BOOST_TEST_CONTEXT(UnitStateName(row.state) << ": " << kEvents[i].name) {
        BOOST_REQUIRE((unit.state() == row.state));
        BOOST_TEST((kEvents[i].happens(unit) == row.cells[i].action));
        BOOST_TEST(UnitStateName(unit.state()) == UnitStateName(row.cells[i].next));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
