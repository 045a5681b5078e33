// SPDX-License-Identifier: Apache-2.0
// What is allowed until a component is ready: planned, proved, refused where it can't be, answered.
#include <string>

#include "compiler/bundle_diff.h"
#include "compiler/policy_tests.h"
#include "compiler/why.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Compiled;
using testing::CompileText;
using testing::Granted;
using testing::MustCompile;
using testing::WithLevel;

std::string Starting(std::string_view calls, std::string_view below = {}) {
  return Granted("    ready: notify\n    syscalls: " + std::string(calls) + "\n", below);
}

bool AtStart(const ProfileData& profile, std::string_view call, std::array<uint64_t, 6> args = {}) {
  const auto nr = SyscallNumber(profile.arch, call);
  BOOST_REQUIRE(nr.has_value());
  return Evaluate(profile.startup, {*nr, AuditArch(profile.arch), 0, args}).action == kRetAllow;
}

Explanation Ask(const Compiled& compiled, const std::string& action,
                const std::vector<std::string>& object) {
  auto answer = Why(compiled.compilation->bundle, "one", action, object);
  BOOST_REQUIRE_MESSAGE(answer.has_value(), (answer ? "" : answer.error()));
  return *answer;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(Startup)

BOOST_AUTO_TEST_CASE(IsAProgramOfItsOwn) {
  const Compiled compiled =
      MustCompile(Starting("{allow: [read], startup: [sync, {lseek: {whence: [SEEK_END]}}]}"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST(!testing::Allows(one, "sync"));
  BOOST_TEST(AtStart(one, "sync"));
  BOOST_TEST(AtStart(one, "read"));
  BOOST_TEST(AtStart(one, "lseek", {0, 0, 2}));
  BOOST_TEST(!AtStart(one, "lseek", {0, 0, 1}));
  BOOST_TEST(!AtStart(one, "fsync"));
  const LedgerRow* row = compiled.Row("one", "components.one.syscalls.startup");
  BOOST_TEST_REQUIRE(row != nullptr);
  BOOST_TEST((row->status == Status::kEnforced));
  // Without it there is neither.
  const Compiled without = MustCompile(Starting("{allow: [read]}"));
  BOOST_TEST(without.Component("one").startup.empty());
  BOOST_TEST(without.Row("one", "components.one.syscalls.startup") == nullptr);
  BOOST_TEST((without.Component("one").filter == one.filter));
}

BOOST_AUTO_TEST_CASE(DenyAndWhatIsAlwaysClosedHoldForIt) {
  const Compiled compiled = MustCompile(
      Starting("{startup: [sync, prctl, {lseek: {whence: [SEEK_END]}}], deny: [lseek]}"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST(AtStart(one, "sync"));
  BOOST_TEST(AtStart(one, "prctl", {15}));  // PR_SET_NAME
  BOOST_TEST(!AtStart(one, "prctl", {1}));  // PR_SET_PDEATHSIG
  BOOST_TEST(!AtStart(one, "lseek", {0, 0, 2}));
}

BOOST_AUTO_TEST_CASE(IsRefusedWhereItMeansNothing) {
  const auto mistakes = [](const std::string& policy, const testing::Change& change = {}) {
    return CompileText(policy, change).Mistakes();
  };
  BOOST_TEST(mistakes(Starting("{startup: [bpf]}")) == "9:26 E0540 `bpf` can't be allowed\n");
  BOOST_TEST(mistakes(Starting("{startup: [personality]}")) ==
             "9:26 E0548 `personality` can't be allowed until ready only\n");
  BOOST_TEST(mistakes(Starting("{allow: [sync], startup: [sync]}")) ==
             "9:41 E0548 `startup` of `one` adds nothing\n");
  BOOST_TEST(mistakes(Starting("{startup: [sync], deny: [sync]}")) ==
             "9:26 E0548 `startup` of `one` adds nothing\n");
  BOOST_TEST(mistakes(Granted("    syscalls: {startup: [sync]}\n")) ==
             "8:26 E0548 `startup` of `one` would never end or never begin\n");
  BOOST_TEST(mistakes(Starting("{startup: [sync]}"), WithLevel(Feature::kSeccompNotify, 0)) ==
             "9:26 E0548 `linux-6.18` has no seccomp listeners\n");
  // One that adds something may repeat something.
  BOOST_TEST(mistakes(Starting("{allow: [lseek], startup: [sync, lseek]}")).empty());
}

// What a component may do at its start it may do, for good, with what it then has.
BOOST_AUTO_TEST_CASE(WaysRoundAreJudgedByIt) {
  const std::string mapped = "{allow: [\"@memory\", memfd_create]}";
  const std::string early = "{allow: [\"@memory\"], startup: [memfd_create]}";
  for (const std::string& calls : {mapped, early}) {
    const std::string mistakes = CompileText(Starting(calls)).Mistakes();
    BOOST_TEST(mistakes.find("E0545") != std::string::npos, mistakes);
  }
}

BOOST_AUTO_TEST_CASE(AnswersSayUntilReady) {
  const Compiled compiled =
      MustCompile(Starting("{allow: [read], startup: [sync, openat, {lseek: {whence: [0]}}]}",
                           "tests:\n"
                           "  - {component: one, syscall: sync, expect: until-ready}\n"
                           "  - {component: one, syscall: sync, expect: allow}\n"
                           "  - {component: one, syscall: sync, expect: deny}\n"));
  const Explanation sync = Ask(compiled, "syscall", {"sync"});
  BOOST_TEST((sync.verdict == Verdict::kUntilReady));
  BOOST_TEST(sync.rule == "components.one.syscalls.startup");
  BOOST_TEST((sync.recorder == Recorder::kNotification));
  BOOST_TEST((Ask(compiled, "syscall", {"read"}).verdict == Verdict::kAllow));
  BOOST_TEST((Ask(compiled, "syscall", {"fsync"}).verdict == Verdict::kDeny));
  BOOST_TEST((Ask(compiled, "syscall", {"lseek"}).verdict == Verdict::kUndecided));
  BOOST_TEST((Ask(compiled, "syscall", {"lseek", "whence=0"}).verdict == Verdict::kUntilReady));
  BOOST_TEST((Ask(compiled, "syscall", {"lseek", "whence=1"}).verdict == Verdict::kDeny));
  // A file is read as long as it can be opened; another is not there at all.
  BOOST_TEST((Ask(compiled, "read", {"/usr/bin/one"}).verdict == Verdict::kUntilReady));
  BOOST_TEST((Ask(compiled, "read", {"/etc/shadow"}).verdict == Verdict::kDeny));
}

BOOST_AUTO_TEST_CASE(DifferencesAreSaid) {
  const Compiled none = MustCompile(Starting("{allow: [read]}"));
  const Compiled some = MustCompile(Starting("{allow: [read], startup: [sync]}"));
  const Compiled always = MustCompile(Starting("{allow: [read, sync]}"));
  const auto count = [](const Compiled& from, const Compiled& to, Change change) {
    const auto found = DiffBundles(from.compilation->bundle, to.compilation->bundle);
    BOOST_REQUIRE(found.has_value());
    return std::ranges::count(*found, change, &Difference::change);
  };
  BOOST_TEST(count(none, some, Change::kWidened) == 1);
  BOOST_TEST(count(some, none, Change::kWidened) == 0);
  BOOST_TEST(count(some, none, Change::kNarrowed) == 1);
  BOOST_TEST(count(some, always, Change::kWidened) == 1);
  BOOST_TEST(count(always, some, Change::kNarrowed) == 1);
  BOOST_TEST(count(some, some, Change::kWidened) == 0);
}

BOOST_AUTO_TEST_CASE(ArgumentsThatPassForGoodAndThoseThatPassForAWhile) {
  const Compiled some = MustCompile(Starting(
      "{allow: [{lseek: {whence: [SEEK_SET]}}], startup: [{lseek: {whence: [SEEK_END]}}]}"));
  const auto verdict = [](const Compiled& of, const std::vector<std::string>& call) {
    return Ask(of, "syscall", call).verdict;
  };
  BOOST_TEST((verdict(some, {"lseek", "whence=SEEK_SET"}) == Verdict::kAllow));
  BOOST_TEST((verdict(some, {"lseek", "whence=SEEK_END"}) == Verdict::kUntilReady));
  BOOST_TEST((verdict(some, {"lseek", "whence=SEEK_CUR"}) == Verdict::kDeny));
  BOOST_TEST((verdict(some, {"lseek"}) == Verdict::kUndecided));
  // All pass at the start, and not all later: no more than that is sure.
  const Compiled all =
      MustCompile(Starting("{allow: [{lseek: {whence: [SEEK_SET]}}], startup: [lseek]}"));
  BOOST_TEST((verdict(all, {"lseek", "whence=SEEK_SET"}) == Verdict::kAllow));
  const Explanation answer = Ask(all, "syscall", {"lseek"});
  BOOST_TEST((answer.verdict == Verdict::kUntilReady));
  BOOST_TEST_REQUIRE(answer.calls.size() == 1U);
  BOOST_TEST(answer.calls[0].args[2] != 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace bulkhead
