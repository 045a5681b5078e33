// SPDX-License-Identifier: Apache-2.0
// A policy on all targets: no statement without an answer, no refusal without reason and choices.
#include "cli/matrix.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/support.h"

namespace bulkhead {
namespace {

constexpr const char* kExample = BULKHEAD_SOURCE_DIR "/examples/agent-enclave/enclave.yaml";
constexpr const char* kDate = "2026-01-01";

struct Surveyed {
  Matrix matrix;
  Sources sources;
};

Surveyed Survey(const std::string& path) {
  PolicyResult result;
  auto matrix = SurveyAll(path, {}, {kDate, {}, {}}, result);
  BOOST_REQUIRE(matrix.has_value());
  return {std::move(*matrix), std::move(result.sources)};
}

// One component for each kind of statement, as far as the language has it.
std::string PolicyWith(const std::string& body, const std::string& below = {}) {
  return "bulkhead: 1\nenclave: test\ntarget: debian-13\n" + below +
         "components:\n  one:\n    exec: [/usr/bin/one]\n" + body;
}

const std::string kFiles = "    files: {execute: [/usr/bin/one, \"@loader\"]}\n";

void CheckCells(const Matrix& matrix) {
  BOOST_TEST(matrix.targets.size() >= 12U);
  BOOST_TEST(!matrix.rows.empty());
  for (const MatrixRow& row : matrix.rows) {
    BOOST_TEST(row.cells.size() == matrix.targets.size());
    BOOST_TEST(!row.statement.empty());
  }
  for (size_t i = 0; i < matrix.targets.size(); ++i) {
    const bool refused = std::ranges::any_of(matrix.rows, [&](const MatrixRow& row) {
      return row.cells[i].answer == MatrixAnswer::kRefused;
    });
    BOOST_TEST(refused != matrix.Holds(i), matrix.targets[i]);
    const bool open = std::ranges::any_of(matrix.rows, [&](const MatrixRow& row) {
      return row.cells[i].answer == MatrixAnswer::kNotJudged;
    });
    BOOST_TEST((!open || refused), matrix.targets[i]);
    // Where something is refused nobody can tell what else has nothing to decide.
    const bool nothing = std::ranges::any_of(matrix.rows, [&](const MatrixRow& row) {
      return row.cells[i].answer == MatrixAnswer::kNothing;
    });
    BOOST_TEST((!nothing || !refused), matrix.targets[i]);
  }
  for (const MatrixRefusal& refusal : matrix.refusals) {
    BOOST_TEST(!refusal.diagnostic.statement.empty(), refusal.diagnostic.message);
    BOOST_TEST(!refusal.diagnostic.help.empty(), refusal.diagnostic.message);
    BOOST_TEST(!refusal.targets.empty(), refusal.diagnostic.message);
  }
}

BOOST_AUTO_TEST_SUITE(Matrices)

BOOST_AUTO_TEST_CASE(TheDocumentIsTheExample) {
  Surveyed example = Survey(kExample);
  CheckCells(example.matrix);
  example.sources[0].name = "enclave.yaml";
  const std::string path = BULKHEAD_SOURCE_DIR "/docs/TARGETS.md";
  const std::string made =
      MatrixMarkdown(example.matrix, example.sources, "examples/agent-enclave/enclave.yaml");
  if (std::getenv("BULKHEAD_REGENERATE") != nullptr) test::WriteText(path, made);
  BOOST_TEST((test::ReadText(path) == made), "run BULKHEAD_REGENERATE=1 test-cli");
  BOOST_TEST(made.find("|  |") == std::string::npos, "an empty cell");
}

// What the matrix says of a target is what the compiler does for it.
BOOST_AUTO_TEST_CASE(ItHoldsWhereItCompiles) {
  const Matrix matrix = Survey(kExample).matrix;
  for (size_t i = 0; i < matrix.targets.size(); ++i) {
    const auto one =
        test::Bulkhead({"check", kExample, "--target", matrix.targets[i], "--date", kDate});
    BOOST_TEST((one.exit == 0) == matrix.Holds(i), matrix.targets[i] << "\n" << one.err);
  }
}

BOOST_AUTO_TEST_CASE(EachKindOfStatementHasAnAnswer) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "policy.yaml";
  const std::string policies[] = {
      PolicyWith(kFiles),
      PolicyWith("    files: {execute: [/usr/bin/one], write: [/srv/a], create: [/srv/b], "
                 "state: [/srv/c], runtime: [/run/d], private: [{path: /tmp, size: 1M}]}\n"),
      PolicyWith(kFiles + "    network: {tcp: {connect: [443]}}\n"),
      PolicyWith(kFiles + "    network: {tcp: {bind: [443]}}\n"),
      PolicyWith(kFiles + "    network: {tcp: {listen: [{port: 443, name: web}]}}\n"
                          "    ready: notify\n"),
      PolicyWith(kFiles + "    limits: {memory: 64M, processes: 8, files: 64, cpu: 50%}\n"),
      PolicyWith(kFiles + "    devices: [/dev/rtc0]\n    user: 7\n"),
      PolicyWith(kFiles + "    syscalls: {allow: [\"@service\"]}\n    on-violation: kill\n"),
      PolicyWith(kFiles, "assets: {key: {files: [/srv/key]}}\n"),
  };
  for (const std::string& policy : policies) {
    test::WriteText(path, policy);
    CheckCells(Survey(path).matrix);
  }
}

BOOST_AUTO_TEST_CASE(TheCommandPrintsIt) {
  const auto text = test::Bulkhead({"compile", kExample, "--target", "all", "--date", kDate});
  BOOST_TEST(text.exit == 1);
  for (const char* part : {"  1  debian-12", "nitro-stock  (refused)", "network.tcp.listen",
                           "+ enforced", "\n  help: "}) {
    BOOST_TEST(text.out.find(part) != std::string::npos, part);
  }
  const auto json = nlohmann::json::parse(
      test::Bulkhead({"compile", kExample, "--target", "all", "--format", "json"}).out);
  BOOST_TEST(json["targets"].size() >= 12U);
  for (const auto& row : json["rows"]) BOOST_TEST(row["cells"].size() == json["targets"].size());
}

// Of all targets the answer is what it would be of them one by one, whichever command asks.
BOOST_AUTO_TEST_CASE(OneThatRefusesIsNo) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "policy.yaml";
  const std::string calls = "    syscalls: {allow: [\"@batch\"]}\n";
  // The TEE targets want a register, or that it is waived.
  const std::string waived =
      "waivers:\n  - {statement: measure, reason: a test, until: 2030-01-01}\n";
  for (const auto& [policy, exit] : {std::pair(PolicyWith(kFiles + calls, waived), 0),
                                     std::pair(PolicyWith(kFiles + calls), 1)}) {
    test::WriteText(path, policy);
    int worst = 0;
    for (const std::string& target : Survey(path).matrix.targets) {
      const auto one = test::Bulkhead({"check", path, "--target", target, "--date", kDate});
      worst = std::max(worst, one.exit);
    }
    BOOST_TEST(worst == exit);
    for (const char* command : {"check", "compile"}) {
      const auto all = test::Bulkhead({command, path, "--target", "all", "--date", kDate});
      BOOST_TEST(all.exit == exit, command << all.out);
    }
  }
}

BOOST_AUTO_TEST_CASE(NothingIsWritten) {
  const auto both = test::Bulkhead({"compile", kExample, "--target", "all", "-o", "/tmp/none"});
  BOOST_TEST(both.exit == 2);
  BOOST_TEST(both.err.find("`--target all` writes no bundle") != std::string::npos);
  const auto neither = test::Bulkhead({"compile", kExample});
  BOOST_TEST(neither.exit == 2);
  BOOST_TEST(neither.err.find("compile: --output is required") != std::string::npos);
  const test::TemporaryDirectory directory;
  const std::string path = directory / "broken.yaml";
  test::WriteText(path, "bulkhead: 1\nenclave: x\n");
  const auto broken = test::Bulkhead({"compile", path, "--target", "all"});
  BOOST_TEST(broken.exit == 1);
  BOOST_TEST(broken.err.find("error") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
