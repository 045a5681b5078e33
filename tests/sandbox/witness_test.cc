// SPDX-License-Identifier: Apache-2.0
// The runtime with one control removed, for each control: the witness misses it, and nothing is
// executed. A mutant is a kernel that leaves a call undone and says that it was done, so the code
// that runs is the one that ships. The whole runtime passes.
#include "sandbox/witness.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/sandbox/launch_run.h"

namespace bulkhead {
namespace {

using test::CanLaunch;
using test::LaunchOutcome;
using test::LaunchRun;

constexpr const char* kGroup = "bulkhead-witness-test";
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;

struct RulesetAttr {
  uint64_t files;
  uint64_t net;
  uint64_t scoped;
};

using Args = long (&)[6];
// What the call answers instead of being made; nothing: it is made, with the arguments as they are
// then.
using Change = std::function<std::optional<long>(long number, Args args)>;

class Mutant final : public Kernel {
 public:
  explicit Mutant(Change change) : change_(std::move(change)) {}

 protected:
  long Call(long number, const long (&args)[6]) override {
    long now[6];
    std::memcpy(now, args, sizeof now);
    if (const auto answer = change_(number, now)) return *answer;
    return RawCall(number, now);
  }
  long Spawning(long number, const long (&args)[6], const SpawnTarget& target) override {
    return RawSpawn(number, args, target);
  }

 private:
  Change change_;
};

Change Undone(long call) {
  return [call](long number, Args) { return number == call ? std::optional(0L) : std::nullopt; };
}

Change Undone(long call, long first) {
  return [call, first](long number, Args args) {
    return number == call && args[0] == first ? std::optional(0L) : std::nullopt;
  };
}

Change LimitUndone(long resource) {
  return [resource](long number, Args args) {
    const bool sets = number == SYS_prlimit64 && args[1] == resource && args[2] != 0;
    return sets ? std::optional(0L) : std::nullopt;
  };
}

Change WithoutNamespace(unsigned long flag) {
  return [flag](long number, Args args) -> std::optional<long> {
    if (number == SYS_clone) args[0] &= ~static_cast<long>(flag);
    // The machine keeps its name.
    if (number == SYS_sethostname) return 0;
    // What the component is told of its pid is what it should be.
    if (number == SYS_getpid && flag == CLONE_NEWPID) return kComponentPid;
    return std::nullopt;
  };
}

Change RulesetWithout(uint64_t files, uint64_t net, uint64_t scoped) {
  return [=](long number, Args args) -> std::optional<long> {
    if (number == kCreateRuleset) {
      auto* attr = std::bit_cast<RulesetAttr*>(args[0]);
      attr->files &= ~files;
      attr->net &= ~net;
      attr->scoped &= ~scoped;
    }
    // A rule about what is not handled is an error.
    if (number == kAddRule && files != 0) return 0;
    return std::nullopt;
  };
}

std::string TextAt(long address) {
  const auto* text = std::bit_cast<const char*>(address);
  return text == nullptr ? "" : text;
}

// A path within the view follows its root's descriptor: /proc/self/fd is the working directory
// then.
bool IsMountOn(long address, const std::string& path) {
  const std::string text = TextAt(address);
  return text == path || text.ends_with("/" + path);
}

Change MountWithout(const std::string& path, unsigned long flags) {
  return [=](long number, Args args) -> std::optional<long> {
    if (number == SYS_mount && IsMountOn(args[1], path)) args[3] &= ~static_cast<long>(flags);
    return std::nullopt;
  };
}

struct Row {
  const char* control;
  Change change;
  const char* missed;  // of what the trial says
  bool landlock = true;
};

std::vector<Row> Mutants() {
  constexpr uint64_t kAll = ~uint64_t{0};
  return {
      {"uid", Undone(SYS_setresuid), "its uid is "},
      {"gid", Undone(SYS_setresgid), "its gid is "},
      {"groups", Undone(SYS_setgroups), "its groups are the policy's"},
      {"capabilities", Undone(SYS_capset), "its capability sets are empty"},
      {"bounding set",
       [](long number, Args args) {
         const bool drops = number == SYS_prctl && args[0] == PR_CAPBSET_DROP && args[1] == 21;
         return drops ? std::optional(0L) : std::nullopt;
       },
       "capability 21 is not in the bounding set"},
      {"securebits", Undone(SYS_prctl, PR_SET_SECUREBITS), "its securebits are locked"},
      // Landlock would not be entered without it.
      {"no_new_privs",
       [](long number, Args args) {
         // The reaper's own filter needs its.
         const bool sets = number == SYS_prctl && args[0] == PR_SET_NO_NEW_PRIVS;
         return sets && getpid() == kComponentPid ? std::optional(0L) : std::nullopt;
       },
       "no_new_privs is set", false},
      {"core dumps", LimitUndone(RLIMIT_CORE), "the limit of `core`"},
      {"processes", LimitUndone(RLIMIT_NPROC), "the limit of `processes`"},
      {"files", LimitUndone(RLIMIT_NOFILE), "the limit of `files`"},
      {"file size", LimitUndone(RLIMIT_FSIZE), "the limit of `file-size`"},
      {"descriptors", Undone(SYS_close_range), "it holds no descriptor that it is not given"},
      {"Landlock", Undone(kRestrictSelf), "listing / is refused"},
      {"Landlock's files", RulesetWithout(kAll, 0, 0), "listing / is refused"},
      {"Landlock's binding", RulesetWithout(0, 1, 0), "binding a port"},
      {"Landlock's connecting", RulesetWithout(0, 2, 0), "connecting to port 0"},
      {"Landlock's scope", RulesetWithout(0, 0, 1), "connecting to an abstract socket"},
      {"seccomp", Undone(SYS_seccomp), "`chroot` is refused"},
      {"the view", Undone(SYS_pivot_root), "the mount of `/` has its flags"},
      {"the old root's end", Undone(SYS_umount2), "of the enclave is not to be found"},
      {"the view's seal", MountWithout(".", MS_RDONLY), "the mount of `/` has its flags"},
      {"a read-only mount", MountWithout("usr/lib", MS_RDONLY), "the mount of `/lib`"},
      {"nosuid", MountWithout("usr/bin", MS_NOSUID), "the mount of `/bin`"},
      {"nodev", MountWithout("usr/bin", MS_NODEV), "the mount of `/bin`"},
      {"noexec", MountWithout("tmp", MS_NOEXEC), "the mount of `/tmp`"},
      {"pid namespace", WithoutNamespace(CLONE_NEWPID), "its pid namespace is its own"},
      {"ipc namespace", WithoutNamespace(CLONE_NEWIPC), "its ipc namespace is its own"},
      {"uts namespace", WithoutNamespace(CLONE_NEWUTS), "its uts namespace is its own"},
      {"network namespace", WithoutNamespace(CLONE_NEWNET), "its net namespace is its own"},
  };
}

BOOST_AUTO_TEST_SUITE(KernelWitness)

BOOST_AUTO_TEST_CASE(TheWholeRuntimePasses) {
  if (!CanLaunch()) return;
  for (const bool landlock : {true, false}) {
    Mutant none([](long, Args) { return std::nullopt; });
    const LaunchRun run(none, landlock);
    const LaunchOutcome& outcome = run.outcome();
    BOOST_TEST(!outcome.failure.has_value(), outcome.missed);
    BOOST_TEST(outcome.executed);
    BOOST_TEST_REQUIRE(outcome.witnessed.has_value());
    BOOST_TEST(outcome.witnessed->trials == run.witness().trials.size());
    BOOST_TEST(run.witness().landlock_refusals == (landlock ? 4U : 0U));
    BOOST_TEST_MESSAGE(outcome.witnessed->trials << " operations in "
                                                 << outcome.witnessed->nanoseconds / 1000 << " us");
  }
}

BOOST_AUTO_TEST_CASE(EachMutantIsMissed) {
  if (!CanLaunch()) return;
  for (const Row& row : Mutants()) {
    BOOST_TEST_CONTEXT("without " << row.control) {
      Mutant mutant(row.change);
      const LaunchRun run(mutant, row.landlock);
      const LaunchOutcome& outcome = run.outcome();
      BOOST_TEST(!outcome.executed);
      BOOST_TEST_REQUIRE(outcome.failure.has_value());
      BOOST_TEST((outcome.failure->step == Step::kWitness), StepName(outcome.failure->step));
      BOOST_TEST(outcome.missed.find(row.missed) != std::string::npos, outcome.missed);
    }
  }
}

BOOST_AUTO_TEST_CASE(ANetworkThatWasMadeBeforeAndIsNotEnteredIsMissed) {
  if (!CanLaunch()) return;
  const pid_t own = getpid();
  Mutant mutant([own](long number, Args args) {
    const bool enters = number == SYS_setns && args[1] == CLONE_NEWNET && getpid() != own;
    return enters ? std::optional(0L) : std::nullopt;
  });
  const LaunchRun run(mutant, true, {.spare = true});
  BOOST_TEST(!run.outcome().executed);
  BOOST_TEST(run.outcome().missed.find("its net namespace is its own") != std::string::npos,
             run.outcome().missed);
  Mutant none([](long, Args) { return std::nullopt; });
  BOOST_TEST(LaunchRun(none, true, {.spare = true}).outcome().executed);
}

// The mounts that it changes are then those of a process made for it.
BOOST_AUTO_TEST_CASE(WithoutAMountNamespaceItIsMissed) {
  if (!CanLaunch()) return;
  int said[2];
  BOOST_REQUIRE(pipe(said) == 0);
  const pid_t child = fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    const int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      _exit(1);
    }
    Mutant mutant(WithoutNamespace(CLONE_NEWNS));
    const LaunchRun run(mutant, true);
    const LaunchOutcome& outcome = run.outcome();
    const bool missed =
        !outcome.executed && outcome.failure && outcome.failure->step == Step::kWitness;
    const std::string text = missed ? outcome.missed : "executed, or failed elsewhere";
    const bool whole =
        write(said[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    // Its root was changed, too.
    const bool gone = unlinkat(root, run.staging().c_str() + 1, AT_REMOVEDIR) == 0;
    _exit(whole && gone ? 0 : 2);
  }
  close(said[1]);
  std::array<char, 256> text{};
  const ssize_t size = read(said[0], text.data(), text.size() - 1);
  close(said[0]);
  int status = -1;
  waitpid(child, &status, 0);
  BOOST_TEST(status == 0);
  BOOST_TEST_REQUIRE(size >= 0);
  BOOST_TEST(std::string(text.data()).find("its mnt namespace is its own") != std::string::npos,
             text.data());
}

// The least that a policy can state, with two descriptors handed over.
BOOST_AUTO_TEST_CASE(FewDescriptorsAreEnough) {
  if (!CanLaunch()) return;
  Mutant none([](long, Args) { return std::nullopt; });
  const LaunchRun run(none, true, {.passed = {0, 0}, .files = 8});
  BOOST_TEST(run.outcome().executed, run.outcome().missed);
}

// Nobody has put it into one.
BOOST_AUTO_TEST_CASE(ACgroupThatItIsNotInIsMissed) {
  if (!CanLaunch()) return;
  Mutant none([](long, Args) { return std::nullopt; });
  const LaunchRun run(none, true, {kGroup});
  BOOST_TEST(!run.outcome().executed);
  BOOST_TEST(run.outcome().missed == "it is in its cgroup");
}

// By itself: of version 1 by its tasks file, of version 2 with the clone.
BOOST_AUTO_TEST_CASE(ItEntersItsCgroup) {
  if (!CanLaunch()) return;
  size_t ways = 0;
  for (const char* place : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"}) {
    const std::string directory = std::string(place) + "/" + kGroup;
    if (mkdir(directory.c_str(), 0755) != 0) continue;
    const int tasks = open((directory + "/tasks").c_str(), O_WRONLY | O_CLOEXEC);
    const bool second = access((directory + "/cgroup.events").c_str(), F_OK) == 0;
    const int group = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks >= 0 || second) {
      ++ways;
      Mutant none([](long, Args) { return std::nullopt; });
      const LaunchRun run(none, true,
                          tasks >= 0 ? test::LaunchGroup{kGroup, -1, {tasks}}
                                     : test::LaunchGroup{kGroup, group, {}});
      BOOST_TEST(run.outcome().executed, place << ": " << run.outcome().missed);
    }
    close(tasks);
    close(group);
    for (int i = 0; i < 1000 && rmdir(directory.c_str()) != 0 && errno == EBUSY; ++i) usleep(1000);
  }
  BOOST_TEST_MESSAGE(ways << " cgroups entered");
  BOOST_TEST(ways > 0U);
}

// Each kind of trial is there, and says whose statement it is about.
BOOST_AUTO_TEST_CASE(EveryControlHasATrial) {
  const Profile profile = test::Launchable(true);
  LaunchPlan plan(profile);
  plan.staging = "/nowhere";
  plan.cgroup = "one";
  plan.Prepare();
  for (auto kind = static_cast<uint8_t>(TrialKind::kCall);
       kind <= static_cast<uint8_t>(TrialKind::kAbstract); ++kind) {
    const bool there = std::ranges::any_of(plan.witness.trials, [&](const Trial& trial) {
      return static_cast<uint8_t>(trial.kind) == kind;
    });
    BOOST_TEST(there, "kind " << int{kind});
  }
  for (const Trial& trial : plan.witness.trials) {
    BOOST_TEST(!trial.what.empty());
    BOOST_TEST(trial.rule.starts_with("components.one"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
