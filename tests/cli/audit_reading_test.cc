// SPDX-License-Identifier: Apache-2.0
// tail, summary and explain.
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdio>

#include "cli/audit_question.h"
#include "cli/audit_records.h"
#include "compiler/ways_of.h"
#include "engine/audit_chain.h"
#include "engine/audit_log.h"
#include "profiles/bundle.h"
#include "profiles/syscalls.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;

Event Refusal(const std::string& component, const std::string& action, const std::string& object) {
  Event event;
  event.component = component;
  event.pid = 7;
  event.exe = "/usr/bin/attacker";
  event.kind = EventKind::kViolation;
  event.control = "seccomp";
  event.action = action;
  event.object = object;
  event.verdict = "refused";
  event.error = "EPERM";
  event.rule = "components." + component + ".syscalls";
  return event;
}

AuditLog Open(const std::string& path, const Digest& bundle = Sha384(std::string_view("bundle"))) {
  auto log = AuditLog::Open({Sink{SinkKind::kFile, path}}, bundle, "boot-1");
  BOOST_REQUIRE(log);
  return std::move(*log);
}

// Of `tools` ptrace five times on two objects, of `agent` one socket.
void WriteLog(const std::string& path) {
  AuditLog log = Open(path);
  log.Append(Refusal("tools", "ptrace", "0 1 0 0 0 0"));
  Event many = Refusal("tools", "ptrace", "10 1 0 0 0 0");
  many.count = 4;
  log.Append(many);
  log.Append(Refusal("agent", "socket", "28 1 0 0 0 0"));
  BOOST_REQUIRE(log.Close());
}

size_t LinesOf(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

BOOST_AUTO_TEST_SUITE(AuditSchema)

BOOST_AUTO_TEST_CASE(EveryRecordFitsTheSchema) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  {
    AuditLog log = Open(path);
    Event started;
    started.component = "tools";
    started.control = "supervisor";
    started.action = "start";
    for (int i = 0; i < 1001; ++i) log.Append(started);
    Event long_one = Refusal("tools", "ptrace", std::string(600, '\n'));
    long_one.extra = {{"detail", std::string(600, 'x')}};
    log.Append(long_one);
    BOOST_REQUIRE(rename(path.c_str(), (path + ".1").c_str()) == 0);
    BOOST_REQUIRE(log.Reopen());
  }
  test::WriteText(directory / "check.py", R"(
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
validator = jsonschema.Draft202012Validator(schema)
kinds = set()
for path in sys.argv[2:]:
    for line in open(path):
        record = json.loads(line)
        validator.validate(record)
        kinds.add(record["kind"])
        # The schema refuses what is no record.
        del record["prev"]
        assert not validator.is_valid(record)
print(*sorted(kinds))
)");
  const auto run =
      test::Bash("/usr/bin/python3 " + (directory / "check.py") + " " + BULKHEAD_SOURCE_DIR +
                 "/docs/audit.schema.json " + path + ".1 " + path);
  BOOST_TEST(run.exit == 0, run.err);
  BOOST_TEST(run.out == "checkpoint lifecycle violation\n");
}

BOOST_AUTO_TEST_SUITE_END()

// A line of whoever writes logs by hand: a record by its own hash, and nothing more.
std::string Linked(std::string object) {
  object.pop_back();
  object.append(kPrevField).append(Hex(Digest{})).append("\"}");
  const Digest hash = LinkHash(Digest{}, object);
  object.pop_back();
  return object.append(kHashField).append(Hex(hash)).append("\"}\n");
}

// What a sink of a stream stored over two connections, and a line that nobody signed at its end.
std::string StoredTwice(const std::string& text) {
  return text.substr(0, text.size() / 2) + "\n" + text +
         R"({"seq":2,"claimed":"1.0","kind":"violation","component":"tools","action":"mount",)"
         R"("object":"/forged","count":9})"
         "\n";
}

BOOST_AUTO_TEST_SUITE(AuditTail)

BOOST_AUTO_TEST_CASE(ShowsTheLastRecordsOneALine) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const auto all = Bulkhead({"audit", "tail", path});
  BOOST_TEST(all.exit == 0, all.err);
  BOOST_TEST(LinesOf(all.out) == 5U);
  BOOST_TEST(all.out.find(" ptrace(request=PTRACE_ATTACH, pid=0x1, addr=0, data=0) refused EPERM "
                          "x4 [components.tools.syscalls]") != std::string::npos,
             all.out);
  const auto last = Bulkhead({"audit", "tail", path, "-n", "2"});
  BOOST_TEST(LinesOf(last.out) == 2U);
  BOOST_TEST(last.out.find("agent") != std::string::npos);
  BOOST_TEST(last.out.find("log-close") != std::string::npos);
  // Further values, but the signature.
  BOOST_TEST(last.out.find(" {events=6, folded=") != std::string::npos, last.out);
  BOOST_TEST(all.out.find("public_key=") != std::string::npos);
  BOOST_TEST(all.out.find("signature=") == std::string::npos);
  BOOST_TEST(Bulkhead({"audit", "tail", path, "-n", "x"}).exit == 2);
  BOOST_TEST(Bulkhead({"audit", "tail", directory / "none"}).exit == 3);
}

BOOST_AUTO_TEST_CASE(CallsAreShownWithTheirArgumentsByName) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  const auto claimed = [](Event event, const char* registers) {
    event.extra = {{"arguments", "claimed"}, {"registers", registers}};
    return event;
  };
  {
    AuditLog log = Open(path);
    log.Append(Refusal("tools", "socket", "28 80001 0 0 0 0"));
    // What it points to may look like registers, and is none.
    log.Append(claimed(Refusal("tools", "openat", "1 2 3 4 5 6"), "ffffff9c 7ffc 90000 0 0 0"));
    Event connect = claimed(Refusal("tools", "connect", "tcp:192.0.2.1:80"), "3 7ffc 10 0 0 0");
    connect.control = "broker";
    log.Append(connect);
    Event observed = Refusal("tools", "ioctl", "request=0x5401");
    observed.kind = EventKind::kObserved;
    log.Append(observed);
    log.Append(Refusal("tools", "(several)", "(several)"));
    log.Append(Refusal("tools", "syscall 4000", "1 0 0 0 0 0"));
    Event witness = Refusal("tools", "kill", "1 9 0 0 0 0");
    witness.kind = EventKind::kWitness;
    log.Append(witness);
    Event life = Refusal("tools", "socket", "28 1 0 0 0 0");
    life.kind = EventKind::kLifecycle;
    log.Append(life);
    BOOST_REQUIRE(log.Close());
  }
  const auto run = Bulkhead({"audit", "tail", path, "--component", "tools"});
  for (const char* part :
       {" socket(domain=AF_VSOCK, type=SOCK_STREAM|SOCK_CLOEXEC, protocol=0) refused",
        " openat(dirfd=AT_FDCWD, flags=O_RDONLY|O_CLOEXEC|0x10000, mode=0) 1 2 3 4 5 6 refused",
        " connect(sockfd=0x3, addrlen=0x10) tcp:192.0.2.1:80 refused", " ioctl(request=TCGETS) ",
        " kill(pid=0x1, sig=SIGKILL) refused", " (several) (several) refused",
        " syscall 4000 1 0 0 0 0 0 refused", " socket 28 1 0 0 0 0 "}) {
    BOOST_TEST(run.out.find(part) != std::string::npos, part << " in " << run.out);
  }
  // The records themselves stay as they are.
  const auto json = Bulkhead({"audit", "tail", path, "--component", "tools", "--format", "json"});
  BOOST_TEST(json.out.find(R"("object":"28 80001 0 0 0 0")") != std::string::npos, json.out);

  // The bundle says which architecture's flags they are.
  for (const auto& [target, flag] :
       {std::pair("linux-6.18", "O_DIRECTORY"), std::pair("linux-6.18-aarch64", "O_DIRECT")}) {
    test::WriteText(directory / "p.yaml", test::SmallPolicy());
    BOOST_REQUIRE(
        Bulkhead({"compile", directory / "p.yaml", "--target", target, "-o", directory / "b"})
            .exit == 0);
    const auto told = Bulkhead({"audit", "tail", path, "--bundle", directory / "b"});
    BOOST_TEST(
        told.out.find(std::string("flags=O_RDONLY|") + flag + "|O_CLOEXEC") != std::string::npos,
        told.out);
  }
  BOOST_TEST(Bulkhead({"audit", "tail", path, "--bundle", directory / "none"}).exit == 3);
}

BOOST_AUTO_TEST_CASE(FiltersAreByComponentKindControlActionStatementAndTime) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const auto count = [&](std::vector<std::string> options) {
    std::vector<std::string> words{"audit", "tail", path};
    words.insert(words.end(), options.begin(), options.end());
    const auto run = Bulkhead(words);
    BOOST_TEST(run.exit == 0, run.err);
    return LinesOf(run.out);
  };
  BOOST_TEST(count({"--component", "tools"}) == 2U);
  BOOST_TEST(count({"--kind", "violation"}) == 3U);
  BOOST_TEST(count({"--kind", "lifecycle"}) == 2U);
  BOOST_TEST(count({"--control", "seccomp"}) == 3U);
  BOOST_TEST(count({"--control", "landlock"}) == 0U);
  BOOST_TEST(count({"--action", "socket"}) == 1U);
  BOOST_TEST(count({"--rule", "components.tools"}) == 2U);
  BOOST_TEST(count({"--rule", "components.tools.syscalls"}) == 2U);
  BOOST_TEST(count({"--rule", "components.tool"}) == 0U);
  BOOST_TEST(count({"--since", "1h"}) == 5U);
  BOOST_TEST(count({"--since", "2001-01-01"}) == 5U);
  BOOST_TEST(count({"--since", "2199-01-01T00:00:00"}) == 0U);
  BOOST_TEST(Bulkhead({"audit", "tail", path, "--since", "yesterday"}).exit == 2);
  for (const char* command : {"tail", "summary"}) {
    const auto run = Bulkhead({"audit", command, path, "--kind", "foo"});
    BOOST_TEST(run.exit == 2);
    BOOST_TEST(run.err ==
               "bulkhead: error: `foo` is no kind of record: kinds are violation, absent, witness, "
               "lifecycle, measure, ledger, loss, checkpoint, observed, brokered\n");
  }
}

BOOST_AUTO_TEST_CASE(WhatALogHoldsNeverReachesATerminalAsItIs) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  // Not from the supervisor, which escapes on entry: written by whoever has the file.
  test::WriteText(path,
                  R"({"seq":1,"claimed":"1.0","kind":"violation","component":"\u001b[2J","action":)"
                  R"("\u202egpj","object":"a\nb","verdict":"\u0007","rule":"\u009b","exe":""})"
                  "\n\x1b[2Jnot a record\n");
  for (const char* format : {"text", "json"}) {
    const auto run = Bulkhead({"audit", "tail", path, "--format", format});
    BOOST_TEST(run.exit == 0);
    BOOST_TEST(LinesOf(run.out) == 1U);
    for (const char* bad : {"\x1b", "\x07", "\xe2\x80\xae", "\xc2\x9b"}) {
      BOOST_TEST((run.out + run.err).find(bad) == std::string::npos, format);
    }
    BOOST_TEST(run.err.find("1 lines are no records") != std::string::npos, run.err);
  }
}

BOOST_AUTO_TEST_CASE(FollowsOverARotationAndATruncation) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const auto run =
      test::Bash(std::string(BULKHEAD_PATH) + " audit tail -f -n 0 --kind violation '" + path +
                 "' > '" + path + ".out' & tail=$!; sleep 0.5\n" +  //
                 "grep -m1 ptrace '" + path + "' >> '" + path + "'; sleep 0.5\n" + "mv '" + path +
                 "' '" + path + ".1'; grep -m1 socket '" + path + ".1' >> '" + path + ".1'\n" +
                 "grep -m1 socket '" + path + ".1' > '" + path + "'; sleep 0.6\n" + ": > '" + path +
                 "'; sleep 0.5; grep -m1 ptrace '" + path + ".1' >> '" + path + "'\n" +
                 "sleep 0.6; kill $tail; wait $tail; true");
  BOOST_TEST(run.exit == 0, run.err);
  const std::string out = test::ReadText(path + ".out");
  BOOST_TEST(LinesOf(out) == 4U, out);
  const size_t first = out.find("ptrace");
  const size_t second = out.find("socket", first);
  BOOST_TEST(second != std::string::npos);
  BOOST_TEST(out.find("ptrace", second) != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(AuditSummary)

BOOST_AUTO_TEST_CASE(SaysWhatWasRefusedMostWhoTriedAndWhen) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const auto json = test::Parsed(Bulkhead({"audit", "summary", path, "--format", "json"}).out);
  BOOST_REQUIRE(json["refused"].size() == 3U);
  BOOST_TEST(json["refused"][0]["object"].get<std::string>() ==
             "request=PTRACE_ATTACH, pid=0x1, addr=0, data=0");
  BOOST_TEST(json["refused"][0]["rule"].get<std::string>() == "components.tools.syscalls");
  BOOST_TEST(json["refused"][0]["count"].get<int>() == 4);
  BOOST_TEST(json["talkers"][0]["component"].get<std::string>() == "tools");
  BOOST_TEST(json["talkers"][0]["exe"].get<std::string>() == "/usr/bin/attacker");
  BOOST_TEST(json["talkers"][0]["count"].get<int>() == 5);
  int total = 0;
  for (const auto& step : json["timeline"]["refused"]) total += step.get<int>();
  BOOST_TEST(total == 6);
  const auto text = Bulkhead({"audit", "summary", path, "--top", "1"});
  BOOST_TEST(text.exit == 0);
  for (const char* part :
       {"request=PTRACE_ATTACH, pid=0x1", "/usr/bin/attacker", "UTC, CLAIMED", "#"}) {
    BOOST_TEST(text.out.find(part) != std::string::npos, part);
  }
  BOOST_TEST(text.out.find("domain=") == std::string::npos);
  const auto one = test::Parsed(
      Bulkhead({"audit", "summary", path, "--component", "agent", "--format", "json"}).out);
  BOOST_TEST(one["events"].size() == 1U);
  BOOST_TEST(Bulkhead({"audit", "summary", path, "--top", "0"}).exit == 2);
}

BOOST_AUTO_TEST_CASE(WhatCameTwiceIsCountedOnceAndWhatIsNoRecordNever) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const auto once = test::Parsed(Bulkhead({"audit", "summary", path, "--format", "json"}).out);
  test::WriteText(path, StoredTwice(test::ReadText(path)));
  const auto run = Bulkhead({"audit", "summary", path, "--stream", "--format", "json"});
  BOOST_TEST(run.exit == 0, run.err);
  const auto twice = test::Parsed(run.out);
  for (const char* part : {"events", "refused", "talkers"}) BOOST_TEST(twice[part] == once[part]);
  BOOST_TEST(twice["unreadable_lines"].get<int>() == 2);
  const auto explained = Bulkhead({"audit", "explain", path, "2", "--stream"});
  BOOST_TEST(explained.out.find("/forged") == std::string::npos, explained.out);
}

BOOST_AUTO_TEST_CASE(CallsThatDifferInAddressesAloneAreOne) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  {
    AuditLog log = Open(path);
    for (const char* registers : {"7f01 7f02 0 1000 0 0", "7e01 7e02 0 1000 0 0"}) {
      log.Append(Refusal("tools", "mount", registers));
    }
    log.Append(Refusal("tools", "mount", "7f01 7f02 0 20 0 0"));
    BOOST_REQUIRE(log.Close());
  }
  const auto json = test::Parsed(Bulkhead({"audit", "summary", path, "--format", "json"}).out);
  BOOST_REQUIRE(json["refused"].size() == 2U);
  BOOST_TEST(json["refused"][0]["count"].get<int>() == 2);
  BOOST_TEST(json["refused"][0]["object"].get<std::string>() == "mountflags=0x1000");
  BOOST_TEST(json["refused"][1]["object"].get<std::string>() == "mountflags=0x20");
  BOOST_TEST(Bulkhead({"audit", "summary", path, "--bundle", directory / "none"}).exit == 3);
}

BOOST_AUTO_TEST_CASE(AClockThatJumpsDoesNotMakeALongTimeline) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  const auto line = [](const char* claimed) {
    return Linked(std::string(R"({"seq":1,"kind":"violation","claimed":")") + claimed + "\"}");
  };
  test::WriteText(path, line("0.0") + line("9999999999.0") + line("99.5") +
                            line("-9223372036854775808.0") + line("9223372036854775807.0"));
  const auto json = test::Parsed(Bulkhead({"audit", "summary", path, "--format", "json"}).out);
  BOOST_TEST(json["timeline"]["refused"].size() <= 24U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(AuditExplain)

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
