// SPDX-License-Identifier: Apache-2.0
// explain.
#include <array>
#include <boost/test/unit_test.hpp>

#include "cli/audit_question.h"
#include "compiler/ways_of.h"
#include "profiles/bundle.h"
#include "profiles/syscalls.h"
#include "tests/cli/logs.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;
using test::Linked;
using test::Open;
using test::Refusal;
using test::WriteLog;

BOOST_AUTO_TEST_SUITE(AuditExplain)

// No control of a policy has answered, and no bundle says more.
BOOST_AUTO_TEST_CASE(TellsWhatTheLogsOwnRecordsAndLossesMean) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  {
    AuditLog log = Open(path);
    Event lost;
    lost.kind = EventKind::kLoss;
    lost.control = "landlock";
    lost.action = "records-lost";
    lost.count = 4;
    log.Append(lost);
    log.Append(Refusal("tools", "mount", "1 2 3 0 0 0"));
    BOOST_REQUIRE(log.Close());
  }
  for (const auto& [sequence, part] :
       {std::pair("1", "means       a run of the supervisor begins here"),
        std::pair("2", "means       the kernel counted so many refusals"),
        std::pair("4", "means       the supervisor has ended in order")}) {
    const auto told = Bulkhead({"audit", "explain", path, sequence});
    BOOST_TEST(told.out.find(part) != std::string::npos, told.out);
    BOOST_TEST(told.err.empty(), told.err);
  }
  const auto refused = Bulkhead({"audit", "explain", path, "3"});
  BOOST_TEST(refused.out.find("means") == std::string::npos, refused.out);
  BOOST_TEST(refused.err.find("--bundle") != std::string::npos, refused.err);
}

BOOST_AUTO_TEST_CASE(TellsTheControlTheLineAndTheWay) {
  const test::TemporaryDirectory directory;
  const std::string policy = directory / "p.yaml";
  const std::string bundle = directory / "p.bundle";
  const std::string path = directory / "audit.jsonl";
  test::WriteText(policy, test::SmallPolicy());
  BOOST_REQUIRE(Bulkhead({"compile", policy, "-o", bundle}).exit == 0);
  const std::string bytes = test::ReadText(bundle);
  {
    AuditLog log = Open(path, BundleDigest(std::vector<uint8_t>(bytes.begin(), bytes.end())));
    log.Append(Refusal("hello", "io_uring_setup", "8 7ffc00000000 0 0 0 0"));
    Event read = Refusal("hello", "fs.read_file", "/etc/shadow");
    read.control = "landlock";
    read.error = "EACCES";
    read.rule = "components.hello.files";
    log.Append(read);
    Event open = Refusal("hello", "openat", "/etc/shadow");
    open.extra = {{"arguments", "claimed"}, {"registers", "ffffff9c 7ffc 90000 0 0 0"}};
    log.Append(open);
    log.Append(Refusal("hello", "mount", "1 2 3 0 0 0"));
  }
  const auto call = Bulkhead({"audit", "explain", "--bundle", bundle, path, "2"});
  BOOST_TEST(call.exit == 0, call.err);
  for (const char* part :
       {"`hello`, pid 7, /usr/bin/attacker: io_uring_setup(entries=0x8)", "refused by seccomp",
        "statement   components.hello", "p.yaml:", "resembles   calls-io-uring",
        "without it  the kernel would have gone on"}) {
    BOOST_TEST(call.out.find(part) != std::string::npos, part << " in " << call.out);
  }
  const auto file = test::Parsed(
      Bulkhead({"audit", "explain", "--bundle", bundle, path, "3", "--format", "json"}).out);
  BOOST_TEST(file["why"]["verdict"].get<std::string>() == "deny");
  BOOST_TEST(file["record"]["object"].get<std::string>() == "/etc/shadow");
  BOOST_TEST(file["without"].get<std::string>().find("view") != std::string::npos, file["without"]);
  BOOST_TEST(file["ways"].empty());  // it was plainly opened
  const auto open = test::Parsed(
      Bulkhead({"audit", "explain", "--bundle", bundle, path, "4", "--format", "json"}).out);
  BOOST_TEST(open["arguments"].dump() ==
             R"({"dirfd":"AT_FDCWD","flags":"O_RDONLY|O_DIRECTORY|O_CLOEXEC","mode":"0"})");
  BOOST_TEST(open["what"].get<std::string>() ==
             "`hello`, pid 7, /usr/bin/attacker: openat(dirfd=AT_FDCWD, "
             "flags=O_RDONLY|O_DIRECTORY|O_CLOEXEC, mode=0) /etc/shadow");
  BOOST_TEST(file["arguments"].is_null());
  // It rests on `files`, of which nothing is recorded but this.
  const auto mount = Bulkhead({"audit", "explain", "--bundle", bundle, path, "5"});
  BOOST_TEST(mount.out.find("enforced, recorded by notification") != std::string::npos, mount.out);
  const auto extra = Bulkhead({"audit", "explain", "--bundle", bundle, path, "4"});
  BOOST_TEST(extra.out.find("arguments   claimed") != std::string::npos, extra.out);
  // Without the bundle the way is known all the same.
  const auto bare = Bulkhead({"audit", "explain", path, "2"});
  BOOST_TEST(bare.exit == 0);
  BOOST_TEST(bare.out.find("calls-io-uring") != std::string::npos);
  BOOST_TEST(bare.err.find("--bundle") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(NamesOfValuesAreEscapedToo) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  test::WriteText(path, Linked(R"({"seq":1,"claimed":"1.0","kind":"violation","action":"x",)"
                               R"("extra":{"\u001b[2J\u202e\n":"v"}})"));
  const auto run = Bulkhead({"audit", "explain", path, "1"});
  BOOST_TEST(run.out.find("2J") != std::string::npos, run.out);
  for (const char* bad : {"\x1b", "\xe2\x80\xae"}) {
    BOOST_TEST(run.out.find(bad) == std::string::npos, run.out);
  }
}

BOOST_AUTO_TEST_CASE(AnotherBundleAndARecordThatIsNotThereAreSaid) {
  const test::TemporaryDirectory directory;
  test::WriteText(directory / "p.yaml", test::SmallPolicy());
  BOOST_REQUIRE(Bulkhead({"compile", directory / "p.yaml", "-o", directory / "b"}).exit == 0);
  WriteLog(directory / "audit.jsonl");
  const std::string path = directory / "audit.jsonl";
  const auto other = Bulkhead({"audit", "explain", "--bundle", directory / "b", path, "2"});
  BOOST_TEST(other.exit == 3);
  BOOST_TEST(other.err.find("is not the bundle of this record's run") != std::string::npos);
  BOOST_TEST(Bulkhead({"audit", "explain", path, "99"}).exit == 1);
  BOOST_TEST(Bulkhead({"audit", "explain", path, "x"}).exit == 2);
}

BOOST_AUTO_TEST_CASE(OneOfSeveralRunsIsChosen) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  for (const char* object : {"/first", "/second"}) {
    AuditLog log = Open(path, {});
    log.Append(Refusal("hello", "openat", object));
    const int more = object == std::string_view("/first") ? 4 : 0;
    for (int i = 0; i < more; ++i)
      log.Append(Refusal("hello", "openat", "/more" + std::to_string(i)));
  }
  const auto last = Bulkhead({"audit", "explain", path, "2"});
  BOOST_TEST(last.out.find("/second") != std::string::npos, last.out);
  BOOST_TEST(last.err.find("runs 1, 2 have a record 2 each") != std::string::npos, last.err);
  const auto first = Bulkhead({"audit", "explain", "--run", "1", path, "2"});
  BOOST_TEST(first.exit == 0, first.err);
  BOOST_TEST(first.err.find("have a record") == std::string::npos, first.err);
  BOOST_TEST(first.out.find("/first") != std::string::npos, first.out);
  const auto json =
      test::Parsed(Bulkhead({"audit", "explain", "--run", "2", path, "2", "--format", "json"}).out);
  BOOST_TEST(json["run"].get<int>() == 2);
  BOOST_TEST(json["record"]["object"].get<std::string>() == "/second");
  const auto elsewhere = Bulkhead({"audit", "explain", "--run", "2", path, "6"});
  BOOST_TEST(elsewhere.exit == 1);
  BOOST_TEST(elsewhere.err.find("there is one in run 1") != std::string::npos, elsewhere.err);
  const auto missing = Bulkhead({"audit", "explain", "--run", "3", path, "2"});
  BOOST_TEST(missing.exit == 1);
  BOOST_TEST(missing.err.find("the log has 2 runs") != std::string::npos, missing.err);
  BOOST_TEST(Bulkhead({"audit", "explain", "--run", "0", path, "2"}).exit == 2);
}

BOOST_AUTO_TEST_CASE(WaysComeFromTheCallsThatCloseThem) {
  const auto ids = [](const char* name, std::array<uint64_t, 6> args) {
    SeccompData data{*SyscallNumber(Arch::kX86_64, name), AuditArch(Arch::kX86_64), 0, args};
    std::string text;
    for (const WayRound* way : WaysOfCall(Arch::kX86_64, data)) text += std::string(way->id) + " ";
    return text;
  };
  BOOST_TEST(ids("io_uring_setup", {}).find("calls-io-uring") != std::string::npos);
  BOOST_TEST(ids("sendto", {0, 0, 0, 0x20000000, 0, 0}).find("tcp-fastopen") != std::string::npos);
  BOOST_TEST(ids("sendto", {}).find("tcp-fastopen") == std::string::npos);
  BOOST_TEST(ids("ioctl", {0, 0x5412, 0, 0, 0, 0}).find("terminal-tiocsti") != std::string::npos);
  BOOST_TEST(ids("ioctl", {0, 0x5401, 0, 0, 0, 0}).find("terminal-tiocsti") == std::string::npos);
  BOOST_TEST(!WaysOfRight("fs.truncate").empty());
  BOOST_TEST(WaysOfRight("what is no right").empty());
}

BOOST_AUTO_TEST_CASE(TheStatementIsTheMoreExactOne) {
  const auto statement = [](const char* control, const char* action, const char* recorded,
                            Verdict verdict, const char* answered) {
    AuditRecord record;
    record.control = control;
    record.action = action;
    record.rule = recorded;
    Explanation answer;
    answer.verdict = verdict;
    answer.rule = answered;
    return StatementOf(record, &answer);
  };
  struct Case {
    const char* control;
    const char* action;
    const char* recorded;
    Verdict verdict;
    const char* answered;
    const char* rule;
    const char* note;  // a part of it
  };
  const char* calls = "components.a.syscalls";
  const Case cases[] = {
      {"seccomp", "ptrace", calls, Verdict::kDeny, calls, calls, ""},
      {"seccomp", "socket", calls, Verdict::kDeny, "components.a.network", "components.a.network",
       "`socket` is a call of `network`"},
      {"seccomp", "ioctl", calls, Verdict::kDeny, "components.a.devices", "components.a.devices",
       "who answered"},
      {"landlock", "fs.read_file", "components.a.files", Verdict::kDeny, "assets.gold",
       "assets.gold", "a tripwire stands"},
      {"landlock", "fs.read_file", "components.a.files", Verdict::kDeny, "components.a.files.read",
       "components.a.files.read", "the statement in it"},
      {"broker", "connect", "components.a.network.tcp.connect", Verdict::kDeny,
       "components.a.network", "components.a.network.tcp.connect", ""},
      {"seccomp", "listen", calls, Verdict::kUntilReady, "components.a.syscalls.startup",
       "components.a.syscalls.startup", "until the component was ready"},
      {"landlock", "fs.read_file", "components.a.files", Verdict::kAllow, "components.a.files.read",
       "components.a.files", "`allow`, by components.a.files.read"},
  };
  for (const Case& one : cases) {
    const auto found = statement(one.control, one.action, one.recorded, one.verdict, one.answered);
    BOOST_TEST(found.rule == one.rule);
    BOOST_TEST((found.note.empty() == (*one.note == '\0')), found.note);
    BOOST_TEST(found.note.find(one.note) != std::string::npos, found.note << one.note);
  }
  AuditRecord alone;
  alone.rule = calls;
  BOOST_TEST(StatementOf(alone, nullptr).rule == calls);
}

BOOST_AUTO_TEST_CASE(OnlyRefusalsAreQuestions) {
  const auto record = [](const char* control, const char* action, const char* object) {
    AuditRecord made;
    made.kind = "violation";
    made.control = control;
    made.action = action;
    made.object = object;
    return made;
  };
  const auto ask = [](const AuditRecord& made) { return QuestionOf(made, Arch::kX86_64); };
  BOOST_TEST(ask(record("seccomp", "socket", "28 1 0 0 0 0"))->args.at(0) == 0x28U);
  BOOST_TEST(!ask(record("seccomp", "socket", "28 1")));
  BOOST_TEST(!ask(record("seccomp", "syscall 4000", "0 0 0 0 0 0")));
  BOOST_TEST(ask(record("landlock", "fs.read_file", "/a\\\\b"))->path == "/a\\b");
  BOOST_TEST(ask(record("landlock", "net.connect_tcp", "[::1]:80"))->endpoint.port == 80U);
  BOOST_TEST(!ask(record("landlock", "scope.signal", "pid 3 (x)")));
  BOOST_TEST(ask(record("broker", "connect", "tcp:192.0.2.1:80"))->endpoint.address == "192.0.2.1");
  BOOST_TEST(ask(record("broker", "sendto", "unix:/run/a\\\\b"))->endpoint.address == "/run/a\\b");
  BOOST_TEST(!ask(record("broker", "connect", "inet:192.0.2.1:80")));
  BOOST_TEST(!ask(record("broker", "bind", "udp:192.0.2.1:80")));
  AuditRecord life = record("seccomp", "socket", "28 1 0 0 0 0");
  life.kind = "lifecycle";
  BOOST_TEST(!ask(life));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
