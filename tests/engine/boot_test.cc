// SPDX-License-Identifier: Apache-2.0
// bulkhead-init end to end on the running kernel, with bundles made by hand.
#include <signal.h>
#include <sys/syscall.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "profiles/landlock.h"
#include "tests/support/init.h"
#include "tests/support/sample.h"

namespace bulkhead {
namespace {

using test::Init;
using test::TempDirectory;

struct KernelFixture {
  KernelFixture() { BOOST_REQUIRE_MESSAGE(test::CanConfine(), "needs root"); }
  TempDirectory directory;
};

// One component that runs a shell command.
BundleData Shell(const std::string& script) {
  BundleData data = test::SampleBundle();
  data.enclave = "boot-test";
  data.requirements.clear();
  data.channels.clear();
  data.assets.clear();
  data.components.resize(1);
  data.components[0].argv = {"/bin/sh", "-c", script};
  data.components[0].lifecycle.restart = RestartWhen::kNever;
  data.components[0].lifecycle.stop_within_ms = 1000;
  return data;
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

BOOST_FIXTURE_TEST_SUITE(KernelBoot, KernelFixture)

BOOST_AUTO_TEST_CASE(RunsAComponentConfined) {
  BundleData data = Shell(
      "while read -r key value; do case $key in Uid:|CapEff:|CapBnd:|NoNewPrivs:|Seccomp:)"
      " echo $key $value;; esac; done < /proc/self/status; echo pid $$");
  Init init(directory, data);
  BOOST_TEST(init.Wait() == 0, init.Output());
  const std::string output = init.Output();
  for (const char* line : {"one | CapEff: 0000000000000000", "one | CapBnd: 0000000000000000",
                           "one | NoNewPrivs: 1", "one | Seccomp: 2", "one | pid 2"}) {
    BOOST_TEST(Contains(output, line), line << " not in: " << output);
  }
  BOOST_TEST(Contains(output, "one | Uid: 268435457"), output);
}

BOOST_AUTO_TEST_CASE(RefusedCallIsRecordedAndAllowedOneIsNot) {
  // mkdir(2) is not in the sample filter, unlink(2) is.
  Init init(directory,
            Shell("echo x > /tmp/a; rm /tmp/a && echo removed; mkdir /tmp/d || echo no"));
  init.Wait();
  BOOST_TEST(Contains(init.Output(), "removed"), init.Output());
  BOOST_TEST(Contains(init.Output(), "| no"), init.Output());
  BOOST_TEST(Contains(init.Audit(), "\"action\":\"mkdir\""), init.Audit());
  BOOST_TEST(!Contains(init.Audit(), "\"action\":\"unlinkat\""));
}

BOOST_AUTO_TEST_CASE(LandlockRefusalIsRecordedWithItsPath) {
  BundleData data = Shell("cat /etc/passwd && echo control; cat /secret/key || echo refused");
  auto& view = data.components[0].view;
  view.push_back({.path = "/secret/key",
                  .kind = ViewKind::kTripwire,
                  .directory = false,
                  .rule = "assets.key"});
  std::sort(view.begin(), view.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  data.components[0].landlock.rules.insert(data.components[0].landlock.rules.begin() + 2,
                                           {.path = "/etc/passwd", .access = landlock::kReadFile});
  Init init(directory, data);
  init.Wait();
  BOOST_TEST(Contains(init.Output(), "| control"), init.Output());
  BOOST_TEST(Contains(init.Output(), "| refused"), init.Output());
  BOOST_TEST(Contains(init.Audit(), "/secret/key"), init.Audit());
}

// With exec refused by the filter the launch's own one still passes, exactly once.
BOOST_AUTO_TEST_CASE(TheLaunchsOwnExecPassesOnce) {
  BundleData data = Shell("echo first; /bin/echo second || echo only");
  auto& filter = data.components[0].filter;
  const auto exec = std::find_if(filter.begin(), filter.end(), [](const Instruction& ins) {
    return ins.code == kJumpEqual && ins.k == 59;
  });
  BOOST_REQUIRE(exec != filter.end());
  filter.erase(exec, exec + 2);
  Init init(directory, data);
  BOOST_TEST(init.Wait() == 0, init.Output());
  BOOST_TEST(Contains(init.Output(), "| first"), init.Output());
  BOOST_TEST(Contains(init.Output(), "| only"), init.Output());
  BOOST_TEST(!Contains(init.Output(), "| second"));
  BOOST_TEST(Contains(init.Audit(), "\"action\":\"execve\""), init.Audit());
}

// The same without a listener: a tracer lets it pass, and the filter answers the rest by itself.
BOOST_AUTO_TEST_CASE(WithoutAListenerATracerLetsTheExecPassOnce) {
  BundleData data = Shell("echo first; /bin/echo second || echo only; mkdir /tmp/d || echo no");
  ProfileData& one = data.components[0];
  one.notifies = false;
  for (Instruction& ins : one.filter) {
    if (ins.code == kReturn && ins.k == kRetUserNotif) ins.k = kRetErrno | EPERM;
  }
  const auto exec = std::find_if(one.filter.begin(), one.filter.end(), [](const Instruction& ins) {
    return ins.code == kJumpEqual && ins.k == SYS_execve;
  });
  BOOST_REQUIRE(exec != one.filter.end());
  (exec + 1)->k = kRetTrace;
  for (const Feature feature : {Feature::kCloseRange, Feature::kProcSubsetPid}) {
    data.target.features.Set(feature, 0);
  }
  Init init(directory, data);
  BOOST_TEST(init.Wait() == 0, init.Output());
  for (const char* line : {"| first", "| only", "| no"}) {
    BOOST_TEST(Contains(init.Output(), line), init.Output());
  }
  BOOST_TEST(!Contains(init.Output(), "| second"));
  BOOST_TEST(!Contains(init.Audit(), "\"kind\":\"violation\""), init.Audit());
}

BOOST_AUTO_TEST_CASE(StopsBySignalInOrderAndLeavesNothing) {
  BundleData data = test::SampleBundle();
  data.enclave = "boot-test";
  data.requirements.clear();
  for (ProfileData& component : data.components) {
    component.argv = {"/bin/sh", "-c",
                      "trap 'echo bye; exit 0' TERM; echo set; while :; do sleep 0.05; done"};
  }
  Init init(directory, data);
  for (const char* line : {"one | set", "two | set"}) {
    BOOST_TEST(init.WaitForOutput(line), init.Output());
  }
  init.Signal(SIGTERM);
  BOOST_TEST(init.Wait() == 0, init.Output());
  const std::string output = init.Output();
  const size_t two = output.find("`two` exit: exit status 0");
  const size_t one = output.find("`one` exit: exit status 0");
  BOOST_TEST(two != std::string::npos, output);
  BOOST_TEST(one != std::string::npos, output);
  BOOST_TEST(two < one);
  BOOST_TEST(Init::ProcessesOf(0x10000001).empty());
}

BOOST_AUTO_TEST_CASE(KilledSupervisorLeavesNoComponent) {
  Init init(directory, Shell("while :; do sleep 0.05; done"));
  BOOST_TEST(init.WaitForOutput("`one` ready"), init.Output());
  BOOST_TEST(!Init::ProcessesOf(0x10000001).empty());
  init.Signal(SIGKILL);
  BOOST_TEST(init.Wait() == -SIGKILL);
  for (int i = 0; i < 200 && !Init::ProcessesOf(0x10000001).empty(); ++i) usleep(5000);
  BOOST_TEST(Init::ProcessesOf(0x10000001).empty());
}

BOOST_AUTO_TEST_CASE(KilledComponentIsRestartedAndTheOtherUnaffected) {
  BundleData data = test::SampleBundle();
  data.enclave = "boot-test";
  data.requirements.clear();
  for (ProfileData& component : data.components) {
    component.argv = {"/bin/sh", "-c", "while :; do sleep 0.05; done"};
  }
  Init init(directory, data);
  BOOST_TEST(init.WaitForOutput("`two` ready"), init.Output());
  const auto before = Init::ProcessesOf(0x10000002);
  const auto victim = Init::ProcessesOf(0x10000001);
  BOOST_REQUIRE(!victim.empty());
  kill(*std::min_element(victim.begin(), victim.end()), SIGKILL);
  BOOST_TEST(init.WaitForOutput("`one` exit: killed by SIGKILL"), init.Output());
  for (int i = 0; i < 400 && Init::ProcessesOf(0x10000001).empty(); ++i) usleep(5000);
  BOOST_TEST(!Init::ProcessesOf(0x10000001).empty());
  BOOST_TEST(*std::min_element(before.begin(), before.end()) == [] {
    const auto now = Init::ProcessesOf(0x10000002);
    return now.empty() ? 0 : *std::min_element(now.begin(), now.end());
  }());
}

BOOST_AUTO_TEST_CASE(AMissingPathStopsTheBootAndIsNamed) {
  BundleData data = Shell("echo never");
  data.components[0].view.push_back({.path = "/var/no-such-thing", .rule = "r"});
  Init init(directory, data);
  BOOST_TEST(init.Wait() == 3, init.Output());
  BOOST_TEST(Contains(init.Output(), "/var/no-such-thing"), init.Output());
  BOOST_TEST(!Contains(init.Output(), "| never"));
}

BOOST_AUTO_TEST_CASE(ADamagedBundleIsRefused) {
  { Init(directory, Shell("echo never")).Wait(); }
  const std::string bytes = test::ReadWholeFile(directory.File("a.bundle"));
  const std::string damaged = directory.File("b.bundle");
  const std::string command =
      std::string(BULKHEAD_INIT_PATH) + " " + damaged + " 2>" + directory.File("said");
  for (size_t at = 0; at < bytes.size(); at += 8) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << at / 8 % 8));
    test::WriteFile(damaged, flipped);
    const int status = std::system(command.c_str());
    BOOST_REQUIRE_MESSAGE(WIFEXITED(status) && WEXITSTATUS(status) == 3, "byte " << at);
    BOOST_REQUIRE(Contains(test::ReadWholeFile(directory.File("said")), "refused: "));
  }
}

// The reaper is process 1, so a signal without a handler ends the component as it should.
BOOST_AUTO_TEST_CASE(PythonWithoutAHandlerEndsByTheSignal) {
  BundleData data = Shell("");
  data.components[0].argv = {"/usr/bin/python3", "-I", "-S", "-c",
                             "import time; print('up', flush=True); time.sleep(60)"};
  data.components[0].lifecycle.stop_within_ms = 10000;
  Init init(directory, data);
  BOOST_TEST(init.WaitForOutput("one | up"), init.Output());
  init.Signal(SIGTERM);
  BOOST_TEST(init.Wait(5) == 0, init.Output());
  BOOST_TEST(Contains(init.Output(), "`one` exit: killed by SIGTERM"), init.Output());
  BOOST_TEST(!Contains(init.Output(), "stop-timeout"));
}

BOOST_AUTO_TEST_CASE(OrphansLeaveNoZombies) {
  Init init(directory,
            Shell("i=0; while [ $i -lt 1000 ]; do ( : & ); i=$((i+1)); done; echo forked $i; "
                  "sleep 0.5; z=0; n=0; for f in /proc/[0-9]*/stat; do read -r l < $f || continue; "
                  "n=$((n+1)); case $l in *') Z '*) z=$((z+1));; esac; done; "
                  "echo seen $n zombies $z"));
  BOOST_TEST(init.Wait(60) == 0, init.Output());
  BOOST_TEST(Contains(init.Output(), "forked 1000"), init.Output());
  BOOST_TEST(Contains(init.Output(), "zombies 0"), init.Output());
  BOOST_TEST(!Contains(init.Output(), "seen 0"));
}

BOOST_AUTO_TEST_CASE(AStartTimeLimitEndsWhatNeverGetsReady) {
  BundleData data = Shell("while :; do sleep 0.05; done");
  data.components[0].lifecycle.ready = {ReadyKind::kFile, "/tmp/ready", 0, 300};
  Init init(directory, data);
  BOOST_TEST(init.WaitForOutput("start-timeout"), init.Output());
  BOOST_TEST(init.Wait(5) == 1, init.Output());
  BOOST_TEST(Contains(init.Audit(), "\"action\":\"start-timeout\""));
}

BOOST_AUTO_TEST_CASE(ACriticalComponentThatCannotBeKeptEndsTheEnclave) {
  BundleData data = Shell("exit 7");
  data.components[0].lifecycle.restart = RestartWhen::kOnFailure;
  data.components[0].lifecycle.restart_at_most = 2;
  data.components[0].lifecycle.critical = true;
  Init init(directory, data);
  BOOST_TEST(init.Wait(10) == 1, init.Output());
  BOOST_TEST(Contains(init.Output(), "is critical and can't be kept up"), init.Output());
}

BOOST_AUTO_TEST_CASE(TwoSupervisorsOfOneEnclaveAreRefused) {
  Init first(directory, Shell("while :; do sleep 0.05; done"));
  BOOST_TEST(first.WaitForOutput("`one` ready"), first.Output());
  const TempDirectory other;
  Init second(other, Shell("echo never"));
  BOOST_TEST(second.Wait() == 3, second.Output());
  BOOST_TEST(Contains(second.Output(), "another bulkhead-init"), second.Output());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
