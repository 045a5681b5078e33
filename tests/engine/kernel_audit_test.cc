// SPDX-License-Identifier: Apache-2.0
#include "engine/kernel_audit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <utility>
#include <vector>

#include "engine/past_runs.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

struct Received {
  std::vector<LandlockDenial> denials;
  std::vector<LandlockDomainEnd> ends;
  LandlockHandler handler() {
    LandlockHandler handler;
    handler.denial = [this](const LandlockDenial& denial) { denials.push_back(denial); };
    handler.end = [this](const LandlockDomainEnd& end) { ends.push_back(end); };
    return handler;
  }
};

LandlockAccess Refusal(uint64_t domain, const std::string& path) {
  LandlockAccess access;
  access.domain = domain;
  access.blockers = {"fs.read_file"};
  access.path = path;
  return access;
}

LandlockDomainNews Begun(uint64_t domain, int32_t pid) {
  LandlockDomainNews news;
  news.domain = domain;
  news.pid = pid;
  news.uid = 9;
  return news;
}

LandlockDomainNews Ended(uint64_t domain, uint64_t denials) {
  LandlockDomainNews news;
  news.domain = domain;
  news.ended = true;
  news.denials = denials;
  return news;
}

BOOST_AUTO_TEST_SUITE(LandlockDomainTable)

BOOST_AUTO_TEST_CASE(TheFirstRefusalWaitsForItsDomain) {
  LandlockDomains domains;
  Received got;
  domains.Take(Refusal(5, "/a"), 0, got.handler());
  BOOST_TEST(got.denials.empty());
  domains.Take(Begun(5, 77), 0, got.handler());
  domains.Take(Refusal(5, "/b"), 0, got.handler());
  BOOST_REQUIRE(got.denials.size() == 2);
  BOOST_TEST(got.denials[0].access.path == "/a");
  BOOST_TEST(got.denials[0].pid == 77);
  BOOST_TEST(got.denials[1].pid == 77);
}

BOOST_AUTO_TEST_CASE(ARefusalThatWaitsInVainGoesOutWithoutAPid) {
  LandlockDomains domains;
  Received got;
  domains.Take(Refusal(5, "/a"), 10, got.handler());
  domains.Expire(9 + LandlockDomains::kMaxWait, got.handler());
  BOOST_TEST(got.denials.empty());
  domains.Expire(10 + LandlockDomains::kMaxWait, got.handler());
  BOOST_REQUIRE(got.denials.size() == 1);
  BOOST_TEST(got.denials[0].pid == 0);
  BOOST_TEST(domains.counters().unattributed == 1);
}

BOOST_AUTO_TEST_CASE(AnEndTellsWhatIsMissing) {
  LandlockDomains domains;
  Received got;
  domains.Take(Refusal(5, "/a"), 0, got.handler());
  domains.Take(Begun(5, 77), 0, got.handler());
  domains.Take(Ended(5, 4), 0, got.handler());
  domains.Take(Ended(6, 2), 0, got.handler());  // not one record of it came
  BOOST_REQUIRE(got.ends.size() == 2);
  BOOST_TEST(got.ends[0].pid == 77);
  BOOST_TEST(got.ends[0].received == 1);
  BOOST_TEST(got.ends[0].denials == 4);
  BOOST_TEST(domains.counters().missing == 5);
  // The number may come back for a new domain; nothing of the old one sticks.
  domains.Take(Refusal(5, "/c"), 0, got.handler());
  domains.Flush(got.handler());
  BOOST_TEST(got.denials.back().pid == 0);
}

// As its record comes: later the number may be nobody's, or another's.
BOOST_AUTO_TEST_CASE(WhoseADomainIsIsAskedOnce) {
  LandlockDomains domains;
  Received got;
  LandlockHandler handler = got.handler();
  int32_t now = 3;
  uint64_t quiet_of = 0;
  handler.owner = [&](int32_t pid, uint32_t uid) { return pid == 77 && uid == 9 ? now : kNobody; };
  handler.quiet = [&](int32_t owner) {
    quiet_of += static_cast<uint64_t>(owner);
    return uint64_t{1};
  };
  domains.Take(Refusal(5, "/a"), 0, handler);
  domains.Take(Begun(5, 77), 0, handler);
  now = kNobody;
  domains.Take(Refusal(5, "/b"), 0, handler);
  domains.Take(Ended(5, 4), 0, handler);
  BOOST_REQUIRE(got.denials.size() == 2);
  BOOST_TEST(got.denials[0].owner == 3);
  BOOST_TEST(got.denials[1].owner == 3);
  BOOST_REQUIRE(got.ends.size() == 1);
  BOOST_TEST(got.ends[0].owner == 3);
  BOOST_TEST(got.ends[0].denials == 3);  // but for the quiet one
  BOOST_TEST(quiet_of == 3);
  domains.Take(Begun(6, 77), 0, handler);
  domains.Take(Refusal(6, "/c"), 0, handler);
  BOOST_TEST(got.denials.back().pid == 77);
  BOOST_TEST(got.denials.back().owner == kNobody);
}

BOOST_AUTO_TEST_CASE(PastRunsAreKnownForLong) {
  PastRuns runs;
  for (pid_t pid = 1; pid <= static_cast<pid_t>(PastRuns::kMost); ++pid) runs.Add(pid, 7);
  BOOST_TEST(runs.Find(1).value() == 7);
  runs.Add(5, 9);  // the number came again
  BOOST_TEST(runs.Find(5).value() == 9);
  BOOST_TEST(runs.Find(2).value() == 7);
  BOOST_TEST(!runs.Find(1).has_value());
  BOOST_TEST(!runs.Find(1000000).has_value());
}

BOOST_AUTO_TEST_CASE(TheTablesAreBoundedAndDropNoRefusal) {
  LandlockDomains domains;
  Received got;
  constexpr uint64_t kMany = LandlockDomains::kMaxDomains + 1000;
  for (uint64_t id = 1; id <= kMany; ++id) domains.Take(Refusal(id, "/a"), 0, got.handler());
  BOOST_TEST(got.denials.size() == kMany - LandlockDomains::kMaxHeld);
  domains.Flush(got.handler());
  BOOST_TEST(got.denials.size() == kMany);
  BOOST_TEST(domains.counters().forgotten == 1000U);
}

// One owner's domains can be many; the others' stay known.
BOOST_AUTO_TEST_CASE(WhoHasMostDomainsLosesItsOwn) {
  LandlockDomains domains;
  Received got;
  LandlockHandler handler = got.handler();
  handler.owner = [](int32_t pid, uint32_t) { return pid == 1 ? 1 : 2; };
  domains.Take(Refusal(1, "/honest"), 0, handler);
  domains.Take(Begun(1, 1), 0, handler);
  for (uint64_t id = 2; id < 3 * LandlockDomains::kMaxDomains; ++id) {
    domains.Take(Refusal(id, "/flood"), 0, handler);
    domains.Take(Begun(id, 2), 0, handler);
  }
  BOOST_TEST(domains.size() == LandlockDomains::kMaxDomains);
  BOOST_TEST(domains.counters().forgotten > 0U);
  domains.Take(Refusal(1, "/honest"), 0, handler);
  BOOST_TEST(got.denials.back().owner == 1);
  domains.Take(Ended(1, 2), 0, handler);
  BOOST_TEST(got.ends.back().owner == 1);
  BOOST_TEST(got.ends.back().received == 2U);
}

AuditState State(uint32_t enabled, uint32_t owner, uint32_t rules, bool ours) {
  return {.enabled = enabled,
          .owner = owner,
          .lost = 9,
          .queue = {320, 7},
          .rules = rules,
          .ours = ours};
}

BOOST_AUTO_TEST_CASE(UntouchedAuditIsTakenWhole) {
  const AuditPlan all{
      .add_rule = true, .enable = true, .delete_rule = true, .disable = true, .queue = {320, 7}};
  BOOST_TEST((PlanAudit(State(0, 0, 0, false)) == all));
}

BOOST_AUTO_TEST_CASE(AuditThatBelongsToSomebodyIsNotChanged) {
  BOOST_TEST((PlanAudit(State(1, 0, 0, false)) == AuditPlan()));
  BOOST_TEST((PlanAudit(State(1, 0, 1, false)) == AuditPlan()));
  BOOST_TEST((PlanAudit(State(1, 300, 2, false)) == AuditPlan()));
  BOOST_TEST((PlanAudit(State(2, 0, 0, false)) == AuditPlan()));
  BOOST_TEST((PlanAudit(State(2, 0, 1, true)) == AuditPlan()));
  // Rules that wait for audit to be switched on must go on seeing new processes.
  AuditPlan switch_only;
  switch_only.enable = switch_only.disable = true;
  BOOST_TEST((PlanAudit(State(0, 300, 0, false)) == switch_only));
  switch_only.queue = {320, 7};
  BOOST_TEST((PlanAudit(State(0, 0, 1, false)) == switch_only));
}

BOOST_AUTO_TEST_CASE(WhatAKilledSupervisorLeftIsTakenOver) {
  AuditPlan undo_only;
  undo_only.delete_rule = undo_only.disable = true;
  undo_only.queue = {320, 7};
  BOOST_TEST((PlanAudit(State(1, 0, 1, true)) == undo_only));
  AuditPlan enable = undo_only;
  enable.enable = true;
  BOOST_TEST((PlanAudit(State(0, 0, 1, true)) == enable));
  AuditPlan rule_only;  // a daemon has come since: audit stays on, our rule must not blind it
  rule_only.delete_rule = true;
  BOOST_TEST((PlanAudit(State(1, 300, 1, true)) == rule_only));
}

BOOST_AUTO_TEST_CASE(ReadersOfTheLogAreFound) {
  const std::string text =
      "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
      "0000000000000000 0   0          00000000 0        0        0     2        0        9\n"
      "0000000000000000 9   0          00000000 0        0        0     2        0        10\n"
      "0000000000000000 9   812        00000001 0        0        0     2        0        4711\n"
      "0000000000000000 15  812        00000001 0        0        0     2        0        12\n"
      "0000000000000000 9   900        000000ff 0        0        0     2        0        13     \n"
      "0000000000000000 9\n";
  BOOST_TEST((ReadLogReaders(text) == std::set<uint64_t>{13, 4711}));
  BOOST_TEST(ReadLogReaders("").empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(KernelLandlockAudit)

bool AllowReading(int ruleset, const char* path) {
  struct __attribute__((packed)) {
    uint64_t access;
    int32_t parent;
  } rule = {landlock::kReadFile, open(path, O_PATH | O_CLOEXEC)};
  return syscall(SYS_landlock_add_rule, ruleset, landlock::kRuleTypePathBeneath, &rule, 0) == 0;
}

// Confines the calling process to reading what a program of the system needs.
bool Restrict() {
  struct {
    uint64_t files, net, scoped;
  } attributes = {landlock::kReadFile, 0, 0};
  const int ruleset =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
  return AllowReading(ruleset, "/usr") && AllowReading(ruleset, "/etc") &&
         prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_landlock_restrict_self, ruleset, landlock::kLogNewExecOn) == 0;
}

class SecretFile {
 public:
  SecretFile() : path_("/tmp/bulkhead secret-" + std::to_string(getpid())) {
    close(open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  }
  ~SecretFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

pid_t StartCat(const std::string& file) {
  const pid_t child = fork();
  if (child != 0) return child;
  const int null = open("/dev/null", O_RDWR);
  dup2(null, STDERR_FILENO);
  dup2(null, STDOUT_FILENO);
  if (!Restrict()) _exit(90);
  execl("/bin/cat", "cat", file.c_str(), nullptr);
  _exit(91);
}

int ExitCode(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Drains until `done` or two seconds have passed.
template <typename Done>
void DrainUntil(KernelAudit& audit, Received& got, Done done) {
  for (int i = 0; i < 200 && !done(); ++i) {
    pollfd ready = {audit.fd(), POLLIN, 0};
    poll(&ready, 1, 10);
    while (audit.Drain(got.handler())) {
    }
  }
}

AuditState StateNow() {
  auto control = AuditControl::Open();
  BOOST_REQUIRE(control);
  const auto state = control->State();
  BOOST_REQUIRE_MESSAGE(state, "needs root in the initial PID namespace");
  return *state;
}

// After clearing up what a killed supervisor may have left, which an end of ours would undo.
AuditState StateBefore() {
  BOOST_TEST(KernelAudit::Open().has_value());
  return StateNow();
}

BOOST_AUTO_TEST_CASE(ARefusedOpenIsAttributedAndEverythingIsRestored) {
  const AuditState before = StateBefore();
  const SecretFile secret;
  Received got;
  {
    auto audit = KernelAudit::Open();
    BOOST_REQUIRE_MESSAGE(audit, audit.error().step);
    BOOST_TEST(StateNow().enabled != 0);
    if (before.enabled == 0) BOOST_TEST(StateNow().rules == before.rules + 1);
    const pid_t allowed = StartCat("/usr/bin/env");
    BOOST_TEST(ExitCode(allowed) == 0);  // the same program, reading what it may
    const pid_t refused = StartCat(secret.path());
    BOOST_TEST(ExitCode(refused) == 1);
    DrainUntil(*audit, got, [&] { return !got.ends.empty(); });
    uint64_t seen = 0;
    for (const LandlockDenial& denial : got.denials) {
      BOOST_TEST(denial.pid != allowed);
      if (denial.pid != refused) continue;
      ++seen;
      BOOST_TEST(denial.access.path == secret.path());
      BOOST_TEST(JoinBlockers(denial.access) == "fs.read_file");
    }
    BOOST_TEST(seen == 1);
    BOOST_REQUIRE(got.ends.size() == 1);
    BOOST_TEST(got.ends[0].pid == refused);
    BOOST_TEST(got.ends[0].denials == 1);
    BOOST_TEST(got.ends[0].received == 1);
    BOOST_TEST(audit->counters().landlock.missing == 0);
    BOOST_TEST(audit->counters().malformed == 0);
    BOOST_TEST(audit->Close().has_value());
  }
  const AuditState after = StateNow();
  BOOST_TEST(after.enabled == before.enabled);
  BOOST_TEST(after.rules == before.rules);
  BOOST_TEST(after.owner == before.owner);
}

BOOST_AUTO_TEST_CASE(WhatAKilledSupervisorLeftIsRestoredByTheNext) {
  const AuditState before = StateBefore();
  const bool untouched = before.enabled == 0 && before.rules == 0 && before.owner == 0;
  const pid_t child = fork();
  if (child == 0) {
    const auto audit = KernelAudit::Open();
    _exit(audit ? 0 : 1);  // without Close, as by SIGKILL
  }
  BOOST_TEST(ExitCode(child) == 0);
  BOOST_TEST(StateNow().enabled != 0);
  if (untouched) BOOST_TEST(StateNow().ours);
  BOOST_TEST(KernelAudit::Open().has_value());  // and closed at once
  BOOST_TEST(StateNow().enabled == before.enabled);
  BOOST_TEST(StateNow().rules == before.rules);
}

BOOST_AUTO_TEST_CASE(OfTwoSupervisorsTheLastRestores) {
  for (const bool first_closes_first : {true, false}) {
    const AuditState before = StateBefore();
    auto first = KernelAudit::Open();
    auto second = KernelAudit::Open();
    BOOST_REQUIRE(first);
    BOOST_REQUIRE(second);
    BOOST_TEST((first_closes_first ? first : second)->Close().has_value());
    BOOST_TEST(StateNow().enabled != 0);
    BOOST_TEST((first_closes_first ? second : first)->Close().has_value());
    BOOST_TEST(StateNow().enabled == before.enabled);
    BOOST_TEST(StateNow().rules == before.rules);
  }
}

BOOST_AUTO_TEST_CASE(AReaderThatFallsBehindKnowsExactlyWhatItMissed) {
  constexpr uint64_t kRefusals = 40000;
  const SecretFile secret;
  Received got;
  auto audit = KernelAudit::Open();
  BOOST_REQUIRE(audit);
  int done[2];
  int go[2];
  BOOST_REQUIRE(pipe(done) == 0);
  BOOST_REQUIRE(pipe(go) == 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    bool all_refused = Restrict();
    for (uint64_t i = 0; i < kRefusals; ++i) {
      all_refused = open(secret.path().c_str(), O_RDONLY) < 0 && all_refused;
    }
    const bool told = write(done[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1;
    _exit(all_refused && told ? 0 : 1);
  }
  char byte = 0;
  BOOST_REQUIRE(read(done[0], &byte, 1) == 1);
  DrainUntil(*audit, got, [&, last = size_t{0}]() mutable {
    return std::exchange(last, got.denials.size()) == got.denials.size() && last != 0;
  });
  BOOST_REQUIRE(write(go[1], &byte, 1) == 1);
  BOOST_TEST(ExitCode(child) == 0);
  DrainUntil(*audit, got, [&] { return !got.ends.empty(); });
  for (const int fd : {done[0], done[1], go[0], go[1]}) close(fd);
  audit->Tick(got.handler());
  usleep(50000);
  audit->Tick(got.handler());
  const KernelAuditCounters counters = audit->counters();
  BOOST_TEST_MESSAGE("received " << counters.landlock.denials << ", missing "
                                 << counters.landlock.missing << ", overruns " << counters.overruns
                                 << ", lost in the kernel " << counters.lost);
  BOOST_REQUIRE(got.ends.size() == 1);
  BOOST_TEST(got.ends[0].denials == kRefusals);
  BOOST_TEST(counters.landlock.denials + counters.landlock.missing == kRefusals);
  BOOST_TEST((counters.overruns > 0) == (counters.landlock.missing > counters.lost));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
