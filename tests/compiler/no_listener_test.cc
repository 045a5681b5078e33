// SPDX-License-Identifier: Apache-2.0
// Targets whose kernel has no seccomp listeners, as Nitro Enclaves' own: what stands in for them,
// what the ledger says about it, and what is refused.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <string>

#include "compiler/closure.h"
#include "compiler/export_filter.h"
#include "compiler/why.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::ActionOf;
using testing::Compiled;
using testing::CompileText;
using testing::Granted;
using testing::One;
using testing::WithLevel;

constexpr uint32_t kEperm = kRetErrno | 1;
constexpr uint32_t kEnosys = kRetErrno | 38;
const std::string kPin(96, 'a');

void OffPlatform(LoadedPolicy& loaded) { loaded.target.target.platform = "none"; }

Compiled Old(const std::string& text, const char* target = "nitro-stock") {
  return CompileText(text, OffPlatform, target);
}

Compiled MustOld(const std::string& text, const char* target = "nitro-stock") {
  Compiled result = Old(text, target);
  BOOST_REQUIRE_MESSAGE(result.compilation.has_value(), result.Mistakes());
  return result;
}

bool Requires(const Compiled& compiled, Feature feature) {
  return std::ranges::any_of(compiled->requirements, [&](const Requirement& requirement) {
    return requirement.feature == feature;
  });
}

std::string WhyText(const Compiled& compiled, std::string_view action, const std::string& object) {
  const auto answer = Why(compiled.compilation->bundle, "one", action, {object});
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST((answer->recorder == Recorder::kNone), object);
  return answer->controls.front().text;
}

BOOST_AUTO_TEST_SUITE(NoListener)

BOOST_AUTO_TEST_CASE(TheFilterAnswersByItself) {
  for (const char* target : {"nitro-stock", "nitro-stock-aarch64"}) {
    const Compiled compiled = MustOld(Granted("    syscalls: {allow: [getpid]}\n"), target);
    const ProfileData& one = compiled.Component("one");
    BOOST_TEST(!one.notifies);
    BOOST_TEST(ActionOf(one, "getpid") == kRetAllow);
    BOOST_TEST(ActionOf(one, "getuid") == kEperm);
    BOOST_TEST(ActionOf(one, "ptrace") == kEperm);
    BOOST_TEST(ActionOf(one, "clone3") == kEnosys);
    BOOST_TEST(ActionOf(one, "execve") == kRetTrace);
    BOOST_TEST(ActionOf(one, "execveat") == kEperm);
    BOOST_TEST(Evaluate(one.filter, {0, 0x40000003, 0, {}}).action == kRetKillProcess);
  }
}

// Requirements are what the running kernel is asked for at boot.
BOOST_AUTO_TEST_CASE(NothingIsRequiredThatTheTargetLacks) {
  const Compiled old = MustOld(Granted(""));
  const Compiled recent = CompileText(Granted(""));
  for (const Feature feature : {Feature::kSeccompNotify, Feature::kPidfd, Feature::kCloseRange,
                                Feature::kProcSubsetPid, Feature::kLandlock}) {
    BOOST_TEST(!Requires(old, feature), Info(feature).key);
    BOOST_TEST(Requires(recent, feature), Info(feature).key);
  }
  BOOST_TEST(Requires(old, Feature::kSeccompTrace));
  BOOST_TEST(!Requires(recent, Feature::kSeccompTrace));
}

BOOST_AUTO_TEST_CASE(TheLedgerSaysSo) {
  const Compiled compiled = MustOld(Granted("    on-violation: kill\n"));
  const auto row = [&](const char* statement) {
    const LedgerRow* found = compiled.Row("one", std::string("components.one.") + statement);
    LedgerRow copy = found != nullptr ? *found : LedgerRow{};
    BOOST_TEST(!copy.statement.empty(), statement);
    BOOST_TEST((copy.status == Status::kSubstituted), statement);
    return copy;
  };
  const LedgerRow calls = row("syscalls");
  BOOST_TEST((calls.recorder == Recorder::kNone));
  BOOST_TEST(calls.note.find("no refusal is recorded") != std::string::npos, calls.note);
  BOOST_TEST(calls.note.find("kills the process") != std::string::npos, calls.note);
  BOOST_REQUIRE(calls.controls.size() == 2U);
  BOOST_TEST(calls.controls[1].text.find("passes once") != std::string::npos);
  BOOST_TEST(row("on-violation").note.find("first process") != std::string::npos);
  BOOST_TEST(row("files").note.find("subset=pid") != std::string::npos);
  for (const LedgerRow& any : compiled->ledger) {
    BOOST_TEST((any.recorder != Recorder::kNotification), any.statement);
    BOOST_TEST((any.recorder != Recorder::kNone || !any.note.empty()), any.statement);
  }
}

BOOST_AUTO_TEST_CASE(AViolationKillsInTheFilter) {
  const Compiled compiled = MustOld(Granted("    on-violation: kill\n"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST(ActionOf(one, "ptrace") == kRetKillProcess);
  BOOST_TEST(ActionOf(one, "clone3") == kEnosys);
  BOOST_TEST(ActionOf(one, "execve") == kRetTrace);
}

BOOST_AUTO_TEST_CASE(OneCallPassesATracer) {
  const Compiled pinned = MustOld(
      "bulkhead: 1\nenclave: test\ntarget: linux-6.18\ncomponents:\n  one:\n"
      "    exec: [{path: /usr/bin/one, sha384: " +
      kPin + "}]\n    files: {execute: [/usr/bin/one]}\n");
  BOOST_TEST(ActionOf(pinned.Component("one"), "execveat") == kRetTrace);
  BOOST_TEST(ActionOf(pinned.Component("one"), "execve") == kEperm);
  // What the policy allows needs nobody's leave.
  const Compiled others = MustOld(One("    files: {execute: [/usr/bin/one, /usr/bin/two]}\n"));
  BOOST_TEST(ActionOf(others.Component("one"), "execve") == kRetAllow);
  BOOST_TEST(!Requires(others, Feature::kSeccompTrace));
  BOOST_TEST(Old(One("    files: {execute: [/usr/bin/one, /usr/bin/two]}\n"
                     "    syscalls: {allow: [memfd_create]}\n"))
                 .Mistakes()
                 .find("E0543") != std::string::npos);
}

// A file in memory that a peer made and passed on is on no mount: exec of others and such a peer
// are never allowed together.
BOOST_AUTO_TEST_CASE(NobodyPassesAProgramInMemory) {
  const auto enclave = [](const std::string& calls) {
    return One(
        "    files: {execute: [/usr/bin/one, /usr/bin/two]}\n    network: {unix: {connect: "
        "[/run/edges/a/s]}}\n",
        "  peer:\n    exec: [/usr/bin/peer]\n    files: {execute: [/usr/bin/peer]}\n"
        "    network: {unix: {listen: [{path: /run/edges/a/s, name: s, from: [one]}]}}\n"
        "    syscalls: {allow: [getpid, \"@executable-memory\"" +
            calls + "]}\n");
  };
  const std::string mistakes = Old(enclave(", memfd_create")).Mistakes();
  BOOST_TEST(mistakes.find("E0545 `files.execute` of `one` can be got round (execute-memfd)") !=
                 std::string::npos,
             mistakes);
  const Compiled without = MustOld(enclave(""));
  BOOST_TEST(ActionOf(without.Component("one"), "execve") == kRetAllow);
  BOOST_TEST(ActionOf(without.Component("peer"), "memfd_create") == kEperm);
}

BOOST_AUTO_TEST_CASE(WithNeitherItIsRefused) {
  const auto neither = [](LoadedPolicy& loaded) {
    OffPlatform(loaded);
    WithLevel(Feature::kSeccompTrace, 0)(loaded);
  };
  BOOST_TEST(
      CompileText(Granted(""), neither, "nitro-stock").Mistakes() ==
      "5:3 E0541 `nitro-stock` has neither seccomp listeners nor tracers of filtered calls\n");
  // A launch by an allowed exec needs neither.
  const std::string others = One("    files: {execute: [/usr/bin/one, /usr/bin/two]}\n");
  BOOST_TEST(CompileText(others, neither, "nitro-stock").Mistakes().empty());
}

BOOST_AUTO_TEST_CASE(AnAssetNeedsSomethingThatRecords) {
  const std::string text = "assets: {key: {files: [/srv/key]}}\n" + Granted("");
  BOOST_TEST(
      Old(text).Mistakes() ==
      "1:10 E0529 attempts of `one` on the asset `key` can't be recorded on `nitro-stock`\n");
  const auto watched = [](LoadedPolicy& loaded) {
    OffPlatform(loaded);
    WithLevel(Feature::kFanotifyPerm, 1)(loaded);
  };
  BOOST_TEST(CompileText(text, watched, "nitro-stock").Mistakes().empty());
}

BOOST_AUTO_TEST_CASE(WhyTellsTheAnswersApart) {
  const Compiled compiled = MustOld(Granted(""));
  BOOST_TEST(WhyText(compiled, "syscall", "ptrace") == "ptrace is refused: EPERM");
  BOOST_TEST(WhyText(compiled, "syscall", "clone3") == "clone3 is refused: ENOSYS");
  BOOST_TEST(WhyText(compiled, "syscall", "execve") ==
             "execve is refused: ENOSYS; the launch's own passes once");
  BOOST_TEST(WhyText(compiled, "execute", "/usr/bin/two") ==
             "execve is refused: ENOSYS; the launch's own passes once");
}

BOOST_AUTO_TEST_CASE(ExportSaysAnotherAnswer) {
  const Compiled compiled = MustOld(Granted(""));
  const ProfileData& one = compiled.Component("one");
  const auto answer = [&](Refusal refusal, std::string_view call) {
    ProfileData exported = one;
    exported.filter = ExportFilter(one, {.refusal = refusal}).value();
    return ActionOf(exported, call);
  };
  BOOST_TEST(answer(Refusal::kNotify, "execve") == kRetTrace);
  BOOST_TEST(answer(Refusal::kErrno, "execve") == kEperm);
  BOOST_TEST(answer(Refusal::kKill, "execve") == kRetKillProcess);
  BOOST_TEST(answer(Refusal::kErrno, "ptrace") == kEperm);
  BOOST_TEST(answer(Refusal::kKill, "ptrace") == kRetKillProcess);
  BOOST_TEST(answer(Refusal::kKill, "clone3") == kEnosys);
  BOOST_TEST(answer(Refusal::kKill, "write") == kRetAllow);
}

BOOST_AUTO_TEST_CASE(EveryWayRoundIsClosed) {
  const Compiled compiled =
      MustOld(Granted("    syscalls: {allow: [\"@service\"]}\n    network: {tcp: {listen: [{port: "
                      "80, name: w}]}}\n"));
  for (const ProfileData& profile : compiled->components) {
    const auto verdicts = ClosureCheck(*compiled).Judge(profile);
    BOOST_REQUIRE(verdicts.has_value());
    for (const WayVerdict& verdict : *verdicts) {
      BOOST_TEST((verdict.closure != Closure::kOpen), verdict.way->id);
      if (verdict.way->id == "files-proc-global") {
        BOOST_TEST(verdict.closer->text.starts_with("before Linux 5.8"));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
