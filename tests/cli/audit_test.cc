// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>

#include "engine/audit_chain.h"
#include "engine/audit_log.h"
#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;

Event Refusal(const std::string& component, const std::string& action) {
  Event event;
  event.component = component;
  event.kind = EventKind::kViolation;
  event.control = "seccomp";
  event.action = action;
  event.verdict = "refused";
  event.error = "EPERM";
  return event;
}

// A log of one run: three refusals of two kinds between its opening and its closing. Returns the
// key.
std::string WriteLog(const std::string& path) {
  auto log =
      AuditLog::Open({Sink{SinkKind::kFile, path}}, Sha384(std::string_view("bundle")), "boot-1");
  BOOST_REQUIRE(log);
  log->Append(Refusal("tools", "ptrace"));
  Event many = Refusal("tools", "ptrace");
  many.object = "other";
  many.count = 4;
  log->Append(many);
  log->Append(Refusal("agent", "socket"));
  BOOST_REQUIRE(log->Close());
  return "ed25519:" + Hex(log->public_key());
}

BOOST_AUTO_TEST_SUITE(Audit)

BOOST_AUTO_TEST_CASE(AWholeChainVerifies) {
  const test::TemporaryDirectory directory;
  WriteLog(directory / "audit.jsonl");
  const auto text = Bulkhead({"audit", "verify", directory / "audit.jsonl"});
  BOOST_TEST(text.exit == 0);
  BOOST_TEST(text.out.starts_with("the chain is whole: 5 records in 1 run,"));
  BOOST_TEST(text.out.find("closed") != std::string::npos);
  const auto json = test::Parsed(
      Bulkhead({"audit", "verify", directory / "audit.jsonl", "--format", "json"}).out);
  BOOST_TEST(json["whole"].get<bool>());
  BOOST_TEST(json["records"].get<int>() == 5);
  BOOST_TEST(json["runs"][0]["closed"].get<bool>());
  BOOST_TEST(json["runs"][0]["bundle"].get<std::string>() ==
             "sha384:" + Hex(Sha384(std::string_view("bundle"))));
}

BOOST_AUTO_TEST_CASE(AChangedRecordBreaksTheChainAtItsLine) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  std::string log = test::ReadText(path);
  log.replace(log.find("ptrace"), 6, "getpid");
  test::WriteText(path, log);
  const auto text = Bulkhead({"audit", "verify", path});
  BOOST_TEST(text.exit == 1);
  BOOST_TEST(text.out == "");
  BOOST_TEST(text.err.find(path + ":2: the chain is broken") != std::string::npos, text.err);
  const auto json = Bulkhead({"audit", "verify", path, "--format", "json"});
  BOOST_TEST(json.exit == 1);
  BOOST_TEST(!test::Parsed(json.out)["whole"].get<bool>());
  BOOST_TEST(test::Parsed(json.out)["line"].get<int>() == 2);
}

BOOST_AUTO_TEST_CASE(TheKeyFromOutsideTellsAForeignLog) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  const std::string other = WriteLog(path);
  BOOST_REQUIRE(unlink(path.c_str()) == 0);
  const std::string key = WriteLog(path);
  test::WriteText(directory / "keys", key + "\n");
  for (const std::string& good : {key, key.substr(8), directory / "keys"}) {
    const auto run = Bulkhead({"audit", "verify", path, "--key", good});
    BOOST_TEST(run.exit == 0, run.err);
    BOOST_TEST(run.out.find("complete to record 5, which is signed; the log was closed in order") !=
               std::string::npos);
    BOOST_TEST(run.out.find("--key takes") == std::string::npos);
  }
  BOOST_TEST(Bulkhead({"audit", "verify", path}).out.find("--key takes") != std::string::npos);
  const auto foreign = Bulkhead({"audit", "verify", path, "--key", other});
  BOOST_TEST(foreign.exit == 1);
  BOOST_TEST(foreign.err.find(path +
                              ":1: not what the given keys stand for: the run that begins here "
                              "is signed by another key, " +
                              key) != std::string::npos,
             foreign.err);
  // A key that has no run, beside one that has: a run was taken away.
  BOOST_TEST(Bulkhead({"audit", "verify", path, "--key", key, "--key", other}).exit == 1);
  const auto json =
      test::Parsed(Bulkhead({"audit", "verify", path, "--key", key, "--format", "json"}).out);
  BOOST_TEST(json["key_given"].get<bool>());
  BOOST_TEST(json["runs"][0]["key"].get<std::string>() == key);
  BOOST_TEST(json["runs"][0]["complete_to"].get<int>() == 5);
  BOOST_TEST(json["runs"][0]["events"].get<int>() == 6);
}

BOOST_AUTO_TEST_CASE(WhatIsNoKeyIsSaid) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  test::WriteText(directory / "keys", "ed25519:00\n");
  test::WriteText(directory / "none", "");
  for (const std::string& bad :
       {std::string("ed25519:00"), directory / "keys", directory / "none", std::string()}) {
    const auto run = Bulkhead({"audit", "verify", path, "--key", bad});
    BOOST_TEST(run.exit == 3, bad);
    BOOST_TEST(run.err.find("key") != std::string::npos, run.err);
  }
}

// Signed by the runtime's library, judged by the tool's.
BOOST_AUTO_TEST_CASE(AChangedSignatureIsSeenWithoutTheKey) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const std::string text = test::ReadText(path);
  // The last record anew: another signature, and the hash that fits the line.
  const size_t last = text.rfind('\n', text.size() - 2) + 1;
  std::string line = text.substr(last, text.find(kHashField, last) - last);
  char& digit = line[line.find(kSignatureField) + kSignatureField.size() + 5];
  digit = digit == '0' ? '1' : '0';
  const auto prev = ParseDigest(line.substr(line.find(kPrevField) + kPrevField.size(), 96));
  BOOST_REQUIRE(prev);
  const std::string hash = Hex(LinkHash(*prev, line + "}"));
  test::WriteText(path, text.substr(0, last) + line + std::string(kHashField) + hash + "\"}\n");
  const auto run = Bulkhead({"audit", "verify", path});
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(
      run.err.find(":5: the chain is broken at record 5: the signature does not fit the key") !=
          std::string::npos,
      run.err);
}

BOOST_AUTO_TEST_CASE(ARotatedSetIsReadAsOneLog) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  auto log =
      AuditLog::Open({Sink{SinkKind::kFile, path}}, Sha384(std::string_view("bundle")), "boot-1");
  BOOST_REQUIRE(log);
  log->Append(Refusal("tools", "ptrace"));
  BOOST_REQUIRE(rename(path.c_str(), (path + ".1").c_str()) == 0);
  BOOST_REQUIRE(log->Reopen());
  log->Append(Refusal("tools", "socket"));
  BOOST_REQUIRE(log->Close());
  const auto alone = Bulkhead({"audit", "verify", path});
  BOOST_TEST(alone.exit == 1);
  BOOST_TEST(alone.err.find("goes on from an older file") != std::string::npos);
  const auto set = Bulkhead({"audit", "verify", path, "--rotated", path + ".1"});
  BOOST_TEST(set.exit == 0, set.err);
  BOOST_TEST(set.out.starts_with("the chain is whole: 6 records in 1 run,"), set.out);
  const auto partial = Bulkhead({"audit", "verify", path, "--partial"});
  BOOST_TEST(partial.exit == 0, partial.err);
  BOOST_TEST(partial.out.starts_with("the chain is whole: 3 records in 1 run,"), partial.out);
  BOOST_TEST(partial.out.find("\n3 records before the first one are not here") != std::string::npos,
             partial.out);
  std::string text = test::ReadText(path);
  const std::string key = text.substr(text.find("\"public_key\":\"") + 14, 64);
  BOOST_TEST(Bulkhead({"audit", "verify", path, "--partial", "--key", key}).exit == 0);
  const auto other =
      Bulkhead({"audit", "verify", path, "--partial", "--key", std::string(64, '1')});
  BOOST_TEST(other.exit == 1);
  BOOST_TEST(other.err.find("signed by another key") != std::string::npos, other.err);
  text.replace(text.find("socket"), 6, "sucket");
  test::WriteText(path, text);
  BOOST_TEST(Bulkhead({"audit", "verify", path, "--rotated", path + ".1"})
                 .err.find(path + ":2: the chain is broken at record 5") != std::string::npos);
  BOOST_TEST(Bulkhead({"audit", "verify", path, "--partial"})
                 .err.find(path + ":2: the chain is broken at record 5") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(SummaryCountsByComponentControlActionAndVerdict) {
  const test::TemporaryDirectory directory;
  WriteLog(directory / "audit.jsonl");
  const auto run = Bulkhead({"audit", "summary", directory / "audit.jsonl", "--format", "json"});
  BOOST_TEST(run.exit == 0);
  const auto json = test::Parsed(run.out);
  BOOST_TEST(json["chain"]["whole"].get<bool>());
  int found = 0;
  for (const auto& group : json["events"]) {
    if (group["component"] == "tools" && group["action"] == "ptrace") {
      BOOST_TEST(group["count"].get<int>() == 5);
      BOOST_TEST(group["control"].get<std::string>() == "seccomp");
      BOOST_TEST(group["verdict"].get<std::string>() == "refused");
      ++found;
    }
    if (group["component"] == "agent") {
      BOOST_TEST(group["count"].get<int>() == 1);
      ++found;
    }
  }
  BOOST_TEST(found == 2);
  const auto text = Bulkhead({"audit", "summary", directory / "audit.jsonl"});
  BOOST_TEST(text.out.starts_with("COMPONENT"));
  BOOST_TEST(text.out.find("tools") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(SummaryOfABrokenLogSaysSo) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "audit.jsonl";
  WriteLog(path);
  const std::string evil = R"({"component":"\u001b[2Jx","kind":"violation","count":3})";
  test::WriteText(path, test::ReadText(path) + evil + "\nnot json\n");
  const auto run = Bulkhead({"audit", "summary", path});
  BOOST_TEST(run.exit == 1);
  BOOST_TEST(run.err.find("the chain is broken") != std::string::npos);
  BOOST_TEST(run.out.find('\x1b') == std::string::npos);
  const auto json = test::Parsed(Bulkhead({"audit", "summary", path, "--format", "json"}).out);
  BOOST_TEST(json["unreadable_lines"].get<int>() == 2);
}

BOOST_AUTO_TEST_CASE(AFileThatIsNotThereIsTheEnvironment) {
  for (const char* command : {"verify", "summary"}) {
    const auto run = Bulkhead({"audit", command, "/nonexistent/audit.jsonl"});
    BOOST_TEST(run.exit == 3);
    BOOST_TEST(run.err ==
               "bulkhead: error: `/nonexistent/audit.jsonl`: No such file or directory\n");
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
