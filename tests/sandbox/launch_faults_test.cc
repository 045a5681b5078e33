// SPDX-License-Identifier: Apache-2.0
// A launch on the running kernel in which one call fails, for every call of the supervisor's half,
// of the reaper and of the component: whatever fails, either nothing is executed and a step is
// named, or the component's witness has seen every control at work.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <map>
#include <new>
#include <set>

#include "tests/sandbox/launch_run.h"

namespace bulkhead {
namespace {

using test::CanLaunch;
using test::LaunchGroup;
using test::LaunchOutcome;
using test::LaunchRun;

// Each the child of the one before.
enum Role : size_t { kSupervisor = 0, kReaper = 1, kComponent = 2, kRoles = 3 };
constexpr const char* kNames[kRoles] = {"supervisor", "reaper", "component"};
constexpr size_t kMostCalls = 4096;

// Seen by all three processes.
struct Shared {
  std::array<std::atomic<size_t>, kRoles> calls{};
  std::array<std::array<std::atomic<long>, kMostCalls>, kRoles> numbers{};
  std::atomic<long> failed{-1};  // the number of the call that was failed
};

class Faulty final : public Kernel {
 public:
  Faulty(Shared& shared, size_t role, size_t at) : shared_(shared), role_(role), at_(at) {}

 protected:
  long Call(long number, const long (&args)[6]) override {
    // Who does not come back into its own network aborts.
    const bool returns = number == SYS_setns && Own() == kSupervisor;
    if (!returns && Fails(number)) return -EIO;
    const long result = RawCall(number, args);
    if (number == SYS_clone && result == 0) own_ = kReaper;
    return result;
  }
  long Spawning(long number, const long (&args)[6], const SpawnTarget& target) override {
    if (Fails(number)) return -EIO;
    component_ = static_cast<char*>(target.stack_top);
    return RawSpawn(number, args, target);
  }

 private:
  // By its stack, since the component shares the reaper's memory and neither may ask for its pid.
  size_t Own() const {
    const char here = 0;
    if (component_ == nullptr) return own_;
    const bool beneath = std::less<>()(&here, component_);
    return beneath && component_ - &here <= static_cast<long>(kStackSize) ? kComponent : own_;
  }

  bool Fails(long number) {
    const size_t own = Own();
    const size_t index = shared_.calls.at(own)++;
    if (index < kMostCalls) shared_.numbers.at(own).at(index) = number;
    if (own != role_ || index != at_) return false;
    shared_.failed = number;
    return true;
  }

  Shared& shared_;
  size_t own_ = kSupervisor;         // the reaper has a copy
  const char* component_ = nullptr;  // the top of its stack
  size_t role_;
  size_t at_;
};

class Memory {
 public:
  Memory()
      : at_(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                 0)) {
    BOOST_REQUIRE(at_ != MAP_FAILED);
    shared_ = new (at_) Shared;
  }
  ~Memory() { munmap(at_, sizeof(Shared)); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  Shared& operator*() { return *shared_; }
  Shared* operator->() { return shared_; }

 private:
  void* at_;
  Shared* shared_ = nullptr;
};

BOOST_AUTO_TEST_SUITE(KernelLaunchFaults)

void FailEachCall(const LaunchGroup& group) {
  Memory clean;
  {
    Faulty whole(*clean, kRoles, 0);
    const LaunchRun run(whole, true, group);
    const LaunchOutcome& outcome = run.outcome();
    BOOST_TEST_REQUIRE(outcome.executed,
                       (outcome.failure ? StepName(outcome.failure->step) : "no failure")
                           << " " << outcome.missed);
  }
  size_t faults = 0;
  size_t stopped = 0;
  std::map<long, size_t> passed;  // by call: its failure changes nothing
  for (size_t role = 0; role < kRoles; ++role) {
    const size_t calls = clean->calls.at(role);
    BOOST_TEST(calls > 0U);
    BOOST_TEST(calls < kMostCalls);
    for (size_t n = 0; n < calls; ++n) {
      BOOST_TEST_CONTEXT("call " << n << " of the " << kNames[role] << ", number "
                                 << clean->numbers.at(role).at(n)) {
        Memory memory;
        Faulty kernel(*memory, role, n);
        const LaunchRun run(kernel, true, group, /*may_not_plan=*/true);
        const LaunchOutcome& outcome = run.outcome();
        if (memory->failed < 0) continue;  // it came to an end before
        ++faults;
        if (outcome.executed) {
          BOOST_TEST_REQUIRE(outcome.witnessed.has_value());
          BOOST_TEST(outcome.witnessed->trials == run.witness().trials.size());
          ++passed[memory->failed];
          continue;
        }
        ++stopped;
        BOOST_TEST_REQUIRE(outcome.failure.has_value());
        BOOST_TEST(StepName(outcome.failure->step) != "unknown step");
        // A pid is compared, and a witness's own call fails its trial.
        // What prepares a view can also be seen to end without a word.
        const bool named = outcome.failure->error == EIO || outcome.failure->step == Step::kPid ||
                           outcome.failure->step == Step::kPreparedView;
        BOOST_TEST(named, StepName(outcome.failure->step) << ": " << outcome.failure->error);
      }
    }
  }
  BOOST_TEST_MESSAGE(faults << " faults, " << stopped << " stopped the launch");
  // What may fail: descriptors that are closed, modes that are set for files to come, and what the
  // reaper does once the component runs.
  const std::set<long> harmless = {SYS_close, SYS_umask, SYS_ppoll, SYS_wait4, SYS_read, SYS_write};
  for (const auto& [number, count] : passed) {
    BOOST_TEST(harmless.contains(number), "call " << number << " failed, " << count << " times");
  }
}

BOOST_AUTO_TEST_CASE(WhateverCallFailsNothingRunsLessConfined) {
  if (CanLaunch()) FailEachCall({});
}

BOOST_AUTO_TEST_CASE(NorInACopyOfAPreparedView) {
  if (CanLaunch()) FailEachCall({.prepared = true});
}

// Whoever can't come back from the spare one ends: tests/sandbox/spare_network_test.cc.
BOOST_AUTO_TEST_CASE(NorInANetworkThatWasMadeBefore) {
  if (CanLaunch()) FailEachCall({.spare = true});
}

// A supervisor that dies right after the clone is dead before the reaper asks to be told of it.
class Unheard final : public Kernel {
 protected:
  long Call(long number, const long (&args)[6]) override {
    return number == SYS_prctl && args[0] == PR_SET_PDEATHSIG ? 0 : RawCall(number, args);
  }
  long Spawning(long number, const long (&args)[6], const SpawnTarget& target) override {
    return RawSpawn(number, args, target);
  }
};

BOOST_AUTO_TEST_CASE(NobodyOutlivesASupervisorWhoseDeathWasNotHeard) {
  if (!CanLaunch()) return;
  for (int i = 0; i < 5; ++i) {
    Unheard kernel;
    const LaunchRun run(kernel, true, {.orphaned = true});
    BOOST_TEST(run.outcome().ended);
    BOOST_TEST(!run.outcome().executed);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
