// SPDX-License-Identifier: Apache-2.0
#include <boost/test/unit_test.hpp>

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

// A log of one run: three refusals of two kinds between its opening and its closing.
void WriteLog(const std::string& path) {
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
  BOOST_TEST(json["unreadable_lines"].get<int>() == 1);
}

BOOST_AUTO_TEST_CASE(AFileThatIsNotThereIsTheEnvironment) {
  for (const char* command : {"verify", "summary"}) {
    const auto run = Bulkhead({"audit", command, "/nonexistent/audit.jsonl"});
    BOOST_TEST(run.exit == 3);
    BOOST_TEST(run.err.find("/nonexistent/audit.jsonl") != std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
