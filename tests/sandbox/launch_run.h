// SPDX-License-Identifier: Apache-2.0
// Launches one component for a test and plays the supervisor's half of the handshake: what comes of
// it, with whatever kernel the test gives.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "profiles/syscalls.h"
#include "sandbox/launch.h"
#include "sandbox/prepared_view.h"
#include "sandbox/spare_network.h"
#include "tests/support/sample.h"

namespace bulkhead::test {

// Refusals are answered by the filter itself, so that no supervisor is needed.
inline Profile Launchable(bool landlock, uint32_t files = 64) {
  ProfileData data = SampleProfile("one", 77);
  data.limits = {.processes = 8, .files = files, .file_size = 4096};
  data.groups = {0x20000001};
  data.notifies = false;
  data.filter.back().k = kRetErrno | EPERM;
  const auto exec = SyscallNumber(data.arch, "execve").value_or(0);
  data.filter.insert(data.filter.end() - 1, {{kJumpEqual, 0, 1, exec}, {kReturn, 0, 0, kRetAllow}});
  if (!landlock) data.landlock = {};
  auto profile = Profile::Make(std::move(data));
  BOOST_REQUIRE_MESSAGE(profile.has_value(), profile.error());
  return *profile;
}

struct LaunchOutcome {
  std::optional<Witnessed> witnessed;
  std::optional<Failure> failure;
  bool executed = false;
  bool ended = false;  // of one that was abandoned
  std::string missed;
};

// The cgroup that it is to be in, and how it gets there by itself.
struct LaunchGroup {
  std::string name;
  int directory = -1;
  std::vector<int> tasks = {};
  std::vector<int> passed = {};  // to hand over
  uint32_t files = 64;           // the limit of descriptors
  bool orphaned = false;         // the supervisor's ends are closed at once, as by its death
  bool prepared = false;         // its view is a copy of a prepared one
  bool spare = false;            // its network was made before
};

// What comes of one launch: the supervisor's half of the handshake.
class LaunchRun {
 public:
  // `may_not_plan`: that the view can't be planned is an outcome, too.
  LaunchRun(Kernel& kernel, bool landlock, const LaunchGroup& group = {}, bool may_not_plan = false)
      : profile_(Launchable(landlock, group.files)), plan_(profile_) {
    plan_.passed = group.passed;
    plan_.passed_names.assign(group.passed.size(), "given");
    plan_.cgroup = group.name;
    plan_.cgroup_directory = group.directory;
    plan_.cgroup_tasks = group.tasks;
    char name[] = "/tmp/bulkhead-witness.XXXXXX";
    staging_ = mkdtemp(name);
    plan_.staging = staging_;
    auto view = PlanView(profile_, {.proc_subset = group.prepared}, kernel);
    if (!view && may_not_plan) {
      outcome_.failure = Failure{Step::kViewEntry, 0, view.error().error};
      rmdir(staging_.c_str());
      return;
    }
    BOOST_REQUIRE(view.has_value());
    plan_.view = std::move(*view);
    plan_.close_range = true;
    if (group.prepared && !UsePreparedView(kernel)) {
      rmdir(staging_.c_str());
      return;
    }
    if (group.spare) {
      if (const int made = spare_.Make(kernel); made != 0) {
        outcome_.failure = Failure{Step::kSpareNetwork, 0, made};
        rmdir(staging_.c_str());
        return;
      }
      plan_.network_namespace = spare_.fd();
    }
    plan_.Prepare();
    int error = 0;
    const LaunchResult launched = Launch(kernel, plan_, error);
    if (launched.reaper < 0) {
      outcome_.failure = Failure{Step::kFork, 0, error};
      rmdir(staging_.c_str());
      return;
    }
    if (group.orphaned) {
      Abandon(launched);
      return;
    }
    Listen(launched);
    kill(launched.reaper, SIGKILL);
    waitpid(launched.reaper, nullptr, 0);
    for (const int fd : {launched.control, launched.handshake, launched.installed}) close(fd);
    rmdir(staging_.c_str());
  }

  const LaunchOutcome& outcome() const { return outcome_; }
  const Witness& witness() const { return plan_.witness; }
  const std::string& staging() const { return staging_; }  // a directory, gone by then

 private:
  bool UsePreparedView(Kernel& kernel) {
    auto split = SplitView(plan_.view);
    BOOST_REQUIRE(split.has_value());
    auto made = PreparedView::Make(kernel, plan_.staging, *split, -1);
    if (!made) {
      outcome_.failure = made.error();
      return false;
    }
    BOOST_TEST(made->Fits(*split));
    prepared_ = std::move(*made);
    plan_.view_namespace = prepared_->mount_namespace();
    plan_.split = std::move(*split);
    return true;
  }

  void Listen(const LaunchResult& launched) {
    for (;;) {
      std::array<pollfd, 2> ready{{{launched.handshake, POLLIN, 0}, {launched.control, POLLIN, 0}}};
      BOOST_REQUIRE(poll(ready.data(), ready.size(), 20000) > 0);
      // What the component said comes before what its end makes of the reaper.
      if (ready[0].revents != 0 && !Hear(launched.handshake)) break;
      if (ready[0].revents == 0 && ready[1].revents != 0 && !HearReaper(launched.control)) break;
    }
    // Both ends can close at once.
    while (!outcome_.executed && !outcome_.failure) {
      pollfd ready{launched.control, POLLIN, 0};
      if (poll(&ready, 1, 20000) <= 0 || !HearReaper(launched.control)) return;
    }
  }

  // Whether the reaper ends by itself then.
  void Abandon(const LaunchResult& launched) {
    for (const int fd : {launched.control, launched.handshake, launched.installed}) close(fd);
    for (int i = 0; i < 1000 && !outcome_.ended; ++i) {
      outcome_.ended = waitpid(launched.reaper, nullptr, WNOHANG) == launched.reaper;
      if (!outcome_.ended) usleep(10000);
    }
    if (!outcome_.ended) {
      kill(launched.reaper, SIGKILL);
      waitpid(launched.reaper, nullptr, 0);
    }
    rmdir(staging_.c_str());
  }

  bool HearReaper(int control) {
    ReaperMessage message;
    const bool whole = recv(control, &message, sizeof message, 0) == sizeof message;
    if (whole && message.kind == ReaperMessage::Kind::kFailure) Fail(message.failure);
    return whole && !outcome_.failure;
  }

  bool Hear(int handshake) {
    alignas(8) std::array<char, 64> bytes{};
    const ssize_t size = recv(handshake, bytes.data(), bytes.size(), 0);
    // It has ended without reading the go; what it said before is still to come.
    if (size < 0 && errno == ECONNRESET) return true;
    if (size == sizeof(Hello)) {
      // Whoever has failed already does not wait for it.
      [[maybe_unused]] const ssize_t sent = send(handshake, "g", 1, MSG_NOSIGNAL);
      return true;
    }
    if (size == sizeof(Witnessed)) {
      outcome_.witnessed.emplace();
      std::memcpy(&*outcome_.witnessed, bytes.data(), sizeof(Witnessed));
      return true;
    }
    if (size == sizeof(Failure)) {
      Failure failure;
      std::memcpy(&failure, bytes.data(), sizeof failure);
      Fail(failure);
    }
    outcome_.executed = size == 0 && outcome_.witnessed;
    return false;
  }

  void Fail(const Failure& failure) {
    outcome_.failure = failure;
    const bool trial = failure.step == Step::kWitness && failure.index != kNoTrial;
    if (trial) outcome_.missed = plan_.witness.trials[failure.index].what;
  }

  Profile profile_;
  std::optional<PreparedView> prepared_;
  SpareNetwork spare_;
  LaunchPlan plan_;
  std::string staging_;
  LaunchOutcome outcome_;
};

inline bool CanLaunch() {
  if (getuid() == 0 && syscall(444, nullptr, 0, 1) >= 7) return true;
  BOOST_REQUIRE_MESSAGE(std::getenv("BULKHEAD_REQUIRE_KERNEL") == nullptr,
                        "needs root and Landlock 7");
  BOOST_TEST_MESSAGE("skipped: needs root and Landlock 7");
  return false;
}

}  // namespace bulkhead::test
