// SPDX-License-Identifier: Apache-2.0
#include "engine/cgroup.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstring>
#include <functional>

namespace bulkhead {
namespace {

constexpr uint64_t kMiB = 1U << 20;

CgroupPlaces AllAt(uint32_t version) {
  CgroupPlaces places;
  for (const Controller controller : kControllers) places.At(controller) = {version, "/x"};
  return places;
}

Limits SomeLimits() {
  Limits limits;
  limits.memory = 64 * kMiB;
  limits.processes = 8;
  limits.cpu_percent = 50;
  return limits;
}

BOOST_AUTO_TEST_SUITE(CgroupPlan)

BOOST_AUTO_TEST_CASE(Version1) {
  const std::vector<CgroupSetting> expected = {
      {Controller::kMemory, "memory.limit_in_bytes", "67108864", false},
      {Controller::kMemory, "memory.memsw.limit_in_bytes", "67108864", true},
      {Controller::kPids, "pids.max", "8", false},
      {Controller::kCpu, "cpu.cfs_period_us", "100000", false},
      {Controller::kCpu, "cpu.cfs_quota_us", "50000", false},
  };
  BOOST_TEST((PlanCgroup(AllAt(1), SomeLimits()) == expected));
}

BOOST_AUTO_TEST_CASE(Version2) {
  const std::vector<CgroupSetting> expected = {
      {Controller::kMemory, "memory.max", "67108864", false},
      {Controller::kMemory, "memory.swap.max", "0", true},
      {Controller::kPids, "pids.max", "8", false},
      {Controller::kCpu, "cpu.max", "50000 100000", false},
  };
  BOOST_TEST((PlanCgroup(AllAt(2), SomeLimits()) == expected));
}

// Workers enter where memory is counted; only version 2 counts tasks in the same place.
BOOST_AUTO_TEST_CASE(WorkersHaveRoomWhereTheyAreCounted) {
  for (const auto& [places, tasks] : {std::pair(AllAt(1), "8"), {AllAt(2), "12"}}) {
    CgroupPlaces apart = places;
    if (places.At(Controller::kPids).version == 1) {
      apart.At(Controller::kPids).directory += "-pids";
    }
    const auto plan = PlanCgroup(apart, SomeLimits(), 4);
    BOOST_REQUIRE(plan);
    const auto limit = std::ranges::find(*plan, "pids.max", &CgroupSetting::file);
    BOOST_REQUIRE(limit != plan->end());
    BOOST_TEST(limit->value == tasks);
  }
}

BOOST_AUTO_TEST_CASE(WhoYieldsIsTheLightest) {
  Limits limits;
  limits.cpu_yields = true;
  const CgroupSetting idle{Controller::kCpu, "cpu.idle", "1", false, true};
  const std::vector<CgroupSetting> first = {{Controller::kCpu, "cpu.shares", "2"}, idle};
  BOOST_TEST((PlanCgroup(AllAt(1), limits) == first));
  const std::vector<CgroupSetting> second = {{Controller::kCpu, "cpu.weight", "1"}, idle};
  BOOST_TEST((PlanCgroup(AllAt(2), limits) == second));
  limits.cpu_percent = 50;
  BOOST_TEST(PlanCgroup(AllAt(2), limits)->size() == 3U);
}

BOOST_AUTO_TEST_CASE(ALimitWithoutItsControllerIsAnError) {
  for (const Controller controller : kControllers) {
    CgroupPlaces places = AllAt(1);
    places.At(controller) = {};
    const auto plan = PlanCgroup(places, SomeLimits());
    BOOST_REQUIRE(!plan);
    BOOST_TEST(plan.error().object == ControllerName(controller));
  }
}

BOOST_AUTO_TEST_CASE(WithoutLimitsNothingIsNeeded) {
  const auto plan = PlanCgroup(CgroupPlaces(), Limits());
  BOOST_REQUIRE(plan);
  BOOST_TEST(plan->empty());
}

BOOST_AUTO_TEST_CASE(NamesThatLeaveTheDirectoryAreRefused) {
  Cgroups cgroups = Cgroups::Open();
  for (const char* name : {"", "..", "a/b", "a b", "a\n"}) {
    BOOST_TEST(cgroups.Create(name, "x", SomeLimits()).error().step == "name");
    BOOST_TEST(cgroups.Create("x", name, SomeLimits()).error().step == "name");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(KernelCgroup)

struct Outcome {
  int status = 0;
  CgroupCounters counters;
  std::vector<std::string> directories;
};

// Runs `work` in a child that is under the limits before it begins.
Outcome RunLimited(const Limits& limits, const std::function<int()>& work) {
  Cgroups cgroups = Cgroups::Open();
  auto group = cgroups.Create("test" + std::to_string(getpid()), "child", limits);
  BOOST_REQUIRE_MESSAGE(group, group.error().step << " " << group.error().object << " "
                                                  << strerror(group.error().error));
  int go[2];
  BOOST_REQUIRE(pipe(go) == 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    _exit(read(go[0], &byte, 1) == 1 ? work() : 99);
  }
  BOOST_TEST(group->Attach(child).has_value());
  BOOST_TEST(write(go[1], "", 1) == 1);
  close(go[0]);
  close(go[1]);
  Outcome outcome;
  BOOST_TEST(waitpid(child, &outcome.status, 0) == child);
  outcome.counters = group->Counters();
  outcome.directories = group->Directories();
  return outcome;
}

void CheckGone(const Outcome& outcome) {
  BOOST_TEST(!outcome.directories.empty());
  for (const std::string& directory : outcome.directories) {
    BOOST_TEST(access(directory.c_str(), F_OK) != 0, directory);
  }
}

int Touch32MiB() {
  void* memory =
      mmap(nullptr, 32 * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  memset(memory, 1, 32 * kMiB);
  return 0;
}

BOOST_AUTO_TEST_CASE(MemoryAboveTheLimitIsKilledAndCounted) {
  Limits limits;
  limits.memory = 128 * kMiB;
  const Outcome enough = RunLimited(limits, Touch32MiB);
  BOOST_TEST(WIFEXITED(enough.status));
  BOOST_TEST(WEXITSTATUS(enough.status) == 0);
  BOOST_TEST(enough.counters.oom_kills == 0);
  BOOST_TEST(enough.counters.memory_hits == 0);
  CheckGone(enough);
  limits.memory = 12 * kMiB;
  const Outcome little = RunLimited(limits, Touch32MiB);
  BOOST_TEST(WIFSIGNALED(little.status));
  BOOST_TEST(WTERMSIG(little.status) == SIGKILL);
  BOOST_TEST(little.counters.oom_kills == 1);
  BOOST_TEST(little.counters.memory_hits > 0);
  CheckGone(little);
}

// How many children it could have at once, of ten.
int ForkTen() {
  int made = 0;
  for (int i = 0; i < 10; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    if (child < 0 && errno != EAGAIN) return 50;
    made += child > 0 ? 1 : 0;
  }
  return made;  // the children are left to Kill()
}

BOOST_AUTO_TEST_CASE(ForksAboveTheLimitFailAndLeftoversAreKilled) {
  Limits limits;
  limits.processes = 20;
  const Outcome enough = RunLimited(limits, ForkTen);
  BOOST_TEST(WEXITSTATUS(enough.status) == 10);
  BOOST_TEST(enough.counters.refused_forks == 0);
  CheckGone(enough);
  limits.processes = 4;
  const Outcome few = RunLimited(limits, ForkTen);
  BOOST_TEST(WEXITSTATUS(few.status) == 3);
  BOOST_TEST(few.counters.refused_forks == 7);
  CheckGone(few);
}

double CpuSeconds() {
  timespec used = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

double WallSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Percent of a CPU it got while it wanted all of one.
int SpinShare() {
  const double start = WallSeconds();
  const double used = CpuSeconds();
  while (CpuSeconds() - used < 0.1) {
  }
  return static_cast<int>(10 / (WallSeconds() - start));
}

BOOST_AUTO_TEST_CASE(CpuAboveTheLimitIsWithheld) {
  Limits limits;
  limits.cpu_percent = 10;
  const Outcome slow = RunLimited(limits, SpinShare);
  BOOST_TEST(WEXITSTATUS(slow.status) <= 20);
  CheckGone(slow);
  limits.cpu_percent = 100;
  const Outcome fast = RunLimited(limits, SpinShare);
  BOOST_TEST(WEXITSTATUS(fast.status) > WEXITSTATUS(slow.status));
  CheckGone(fast);
}

// Of the same CPU beside a process that never rests.
int ShareBesideASpinner() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(0, sizeof one, &one);
  const double used = CpuSeconds();
  const double start = WallSeconds();
  while (WallSeconds() - start < 1) {
  }
  return static_cast<int>(100 * (CpuSeconds() - used) / (WallSeconds() - start));
}

BOOST_AUTO_TEST_CASE(WhoYieldsLeavesTheCpuToOthers) {
  const pid_t spinner = fork();
  if (spinner == 0) {
    for (const double start = WallSeconds(); WallSeconds() - start < 20;) ShareBesideASpinner();
    _exit(0);
  }
  Limits limits;
  limits.cpu_percent = 100;
  const Outcome beside = RunLimited(limits, ShareBesideASpinner);
  limits.cpu_yields = true;
  const Outcome yields = RunLimited(limits, ShareBesideASpinner);
  kill(spinner, SIGKILL);
  waitpid(spinner, nullptr, 0);
  // Other work may share that CPU, too.
  BOOST_TEST(WEXITSTATUS(beside.status) > 4 * WEXITSTATUS(yields.status));
  BOOST_TEST(WEXITSTATUS(yields.status) <= 5);
  CheckGone(beside);
  CheckGone(yields);
}

BOOST_AUTO_TEST_CASE(ADirectoryInUseIsNotTakenOver) {
  const Limits limits = SomeLimits();
  const std::string enclave = "test" + std::to_string(getpid());
  Cgroups cgroups = Cgroups::Open();
  auto first = cgroups.Create(enclave, "one", limits);
  BOOST_REQUIRE(first);
  const std::vector<std::string> directories = first->Directories();
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  BOOST_TEST(first->Attach(child).has_value());
  BOOST_TEST(cgroups.Create(enclave, "one", limits).error().error == EBUSY);
  BOOST_TEST(first->Remove().error().error == EBUSY);
  BOOST_TEST(!first->Kill());
  BOOST_TEST(waitpid(child, nullptr, 0) == child);
  BOOST_TEST(first->Kill());
  BOOST_TEST(first->Remove().has_value());
  for (const std::string& directory : directories) BOOST_TEST(access(directory.c_str(), F_OK) != 0);
}

BOOST_AUTO_TEST_CASE(AnEmptyDirectoryLeftBehindIsReplaced) {
  const std::string enclave = "test" + std::to_string(getpid());
  Cgroups cgroups = Cgroups::Open();
  Limits limits;
  limits.processes = 5;
  std::string directory;
  {
    auto group = cgroups.Create(enclave, "left", limits);
    BOOST_REQUIRE(group);
    directory = group->Directories().at(0);
  }
  BOOST_REQUIRE(mkdir(directory.c_str(), 0755) == 0);
  BOOST_TEST(cgroups.Create(enclave, "left", limits).has_value());
  BOOST_TEST(access(directory.c_str(), F_OK) != 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
