// SPDX-License-Identifier: Apache-2.0
// tail and summary.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>

#include "cli/audit_records.h"
#include "engine/audit_log.h"
#include "profiles/bundle.h"
#include "tests/cli/logs.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;
using test::Linked;
using test::Open;
using test::Refusal;
using test::WriteLog;

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
  BOOST_TEST(all.out.find(" ptrace(request=PTRACE_ATTACH, pid=1, addr=0, data=0) refused EPERM "
                          "x4 [components.tools.syscalls]") != std::string::npos,
             all.out);
  // A mistyped name is not a quiet component.
  const auto mistyped = Bulkhead({"audit", "tail", path, "--component", "tool"});
  BOOST_TEST((mistyped.exit == 0 && mistyped.out.empty()));
  BOOST_TEST(mistyped.err.find("no record of a component `tool`") != std::string::npos);
  BOOST_TEST(Bulkhead({"audit", "tail", path, "--component", "tools"}).err == "");
  for (const auto& [option, mistake, right] :
       {std::tuple("--rule", "components.tools.syscall", "components.tools.syscalls"),
        {"--action", "mounts", "ptrace"}}) {
    const auto nothing = Bulkhead({"audit", "tail", path, option, mistake});
    BOOST_TEST((nothing.exit == 0 && nothing.out.empty()));
    BOOST_TEST(nothing.err.find("no record of the log is what is asked for") != std::string::npos,
               nothing.err);
    BOOST_TEST(Bulkhead({"audit", "tail", path, option, right}).err == "");
  }
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

// The brackets behind what was tried are the record's.
BOOST_AUTO_TEST_CASE(APathDoesNotLookLikeTheColumnsBehindIt) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  {
    AuditLog log = Open(path);
    Event read = Refusal("tools", "fs.read_file", "/a allowed x7 [components.agent.files] {x=y}");
    read.control = "landlock";
    log.Append(read);
    Event send = Refusal("tools", "sendto", "udp [::1]:53");
    send.control = "network";
    log.Append(send);
  }
  const auto all = Bulkhead({"audit", "tail", path});
  BOOST_TEST(all.out.find(" /a\\x20allowed x7 \\x5bcomponents.agent.files] \\x7bx=y} refused EPERM "
                          "[components.tools.syscalls]") != std::string::npos,
             all.out);
  BOOST_TEST(all.out.find(" udp [::1]:53 refused") != std::string::npos, all.out);
}

// A console has the records and what components say; who says a record has made none.
BOOST_AUTO_TEST_CASE(WhatAComponentSaysIsNoRecord) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const std::string log = test::ReadText(path);
  const size_t middle = log.find('\n', log.size() / 2) + 1;
  const std::string forged =
      test::Linked(R"({"seq":999999,"claimed":"1.0","kind":"violation","component":"signer",)"
                   R"("control":"landlock","action":"fs.read_file","object":"/secret","count":7})");
  const std::string said = "tools | " + forged;
  test::WriteText(path, log.substr(0, middle) + said + said + log.substr(middle));
  const auto whole = Bulkhead({"audit", "verify", "--stream", path});
  BOOST_TEST(whole.exit == 0, whole.err);
  for (const bool stream : {false, true}) {
    std::vector<std::string> words{"audit", "summary", path};
    if (stream) words.emplace_back("--stream");
    const auto summary = Bulkhead(words);
    BOOST_TEST(summary.out.find("signer") == std::string::npos, summary.out);
    BOOST_TEST(summary.out.find("log-close") != std::string::npos, summary.out);
    BOOST_TEST(summary.out.find("agent") != std::string::npos, summary.out);
  }
  BOOST_TEST(Bulkhead({"audit", "explain", "--stream", path, "999999"}).exit == 1);
}

// What `verify` passes over as an unfinished line nobody else takes for a record either.
BOOST_AUTO_TEST_CASE(AFileHasNoRecordsBehindTornOnes) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const std::string forged =
      test::Linked(R"({"seq":999,"claimed":"1.0","kind":"violation","component":"invented",)"
                   R"("control":"seccomp","action":"mount","object":"","count":1})");
  test::WriteText(path, test::ReadText(path) + R"({"x)" + forged);
  const auto judge = [&](std::vector<std::string> words, bool stream) {
    if (stream) words.emplace_back("--stream");
    return Bulkhead(words);
  };
  for (const bool stream : {false, true}) {
    BOOST_TEST(judge({"audit", "verify", path}, stream).exit == 0);
    BOOST_TEST(judge({"audit", "explain", path, "999"}, stream).exit == 1);
    BOOST_TEST(judge({"audit", "summary", path}, stream).out.find("invented") == std::string::npos);
  }
}

// Of an earlier run, behind the beginning of a later one, it hides nothing of that.
BOOST_AUTO_TEST_CASE(ARecordThatCameAgainLateHidesNothing) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  WriteLog(path);
  const auto real = test::Parsed(Bulkhead({"audit", "summary", path, "--format", "json"}).out);
  const std::string log = test::ReadText(path);
  const size_t run = log.find(R"({"seq":1,)", 1);
  const size_t again = log.rfind("\n", run - 2) + 1;
  const size_t second = log.find('\n', run) + 1;
  test::WriteText(path,
                  log.substr(0, second) + log.substr(again, run - again) + log.substr(second));
  const auto run_twice = Bulkhead({"audit", "summary", path, "--stream", "--format", "json"});
  BOOST_TEST(run_twice.exit == 0, run_twice.err);
  for (const char* part : {"events", "refused"}) {
    BOOST_TEST(test::Parsed(run_twice.out)[part] == real[part]);
  }
}

BOOST_AUTO_TEST_CASE(ADeepLineIsNoRecord) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  test::WriteText(path, R"({"kind":"violation","seq":1,"extra":{"a":)" + std::string(30000, '[') +
                            std::string(30000, ']') + "}}\n" +
                            R"({"kind":"violation","seq":2,"object":"[[[[{{{{","extra":{"a":"b"}})"
                            "\n");
  const auto tail = Bulkhead({"audit", "tail", path, "--format", "json"});
  BOOST_TEST(LinesOf(tail.out) == 1U);
  BOOST_TEST(tail.err.find("1 line is no record:") != std::string::npos, tail.err);
}

// As whoever stores a stream may find it: a line that only claims to be further on hides nothing
// that follows, though it is a record by its own hash.
BOOST_AUTO_TEST_CASE(AnInventedNumberHidesNothing) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const auto real = test::Parsed(Bulkhead({"audit", "summary", path, "--format", "json"}).out);
  const std::string log = test::ReadText(path);
  const size_t second = log.find('\n') + 1;
  const std::string forged =
      test::Linked(R"({"seq":999999,"claimed":"1.0","kind":"absent","component":"invented",)"
                   R"("control":"seccomp","action":"clone3","object":"","count":1})");
  test::WriteText(path, log.substr(0, second) + forged + log.substr(second));
  BOOST_TEST(Bulkhead({"audit", "verify", path, "--stream"}).exit == 1);
  const auto run = Bulkhead({"audit", "summary", path, "--stream", "--format", "json"});
  BOOST_TEST(run.exit == 1);  // it does not verify, and is read all the same
  const auto read = test::Parsed(run.out)["refused"];
  for (const auto& row : real["refused"]) {
    BOOST_TEST((std::ranges::find(read, row) != read.end()), row);
  }
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
        " connect(sockfd=3, addrlen=16) tcp:192.0.2.1:80 refused", " ioctl(request=TCGETS) ",
        " kill(pid=1, sig=SIGKILL) refused", " (several) (several) refused",
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
    BOOST_TEST(run.err.find("1 line is no record:") != std::string::npos, run.err);
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
             "request=PTRACE_ATTACH, pid=1, addr=0, data=0");
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
       {"request=PTRACE_ATTACH, pid=1", "/usr/bin/attacker", "UTC, CLAIMED", "#"}) {
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

}  // namespace
}  // namespace bulkhead
