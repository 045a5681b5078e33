// SPDX-License-Identifier: Apache-2.0
#include "cli/matrix.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/cli.h"
#include "cli/console.h"
#include "cli/json.h"
#include "policy/load.h"
#include "policy/shipped.h"

namespace bulkhead {
namespace {

constexpr std::string_view kFolder = "targets/";
constexpr std::string_view kSuffix = ".yaml";

std::vector<std::string> ShippedTargets() {
  std::vector<std::string> names;
  for (const ShippedFile& file : ShippedFiles()) {
    if (!file.name.starts_with(kFolder)) continue;
    std::string name(file.name.substr(kFolder.size()));
    names.push_back(name.substr(0, name.size() - kSuffix.size()));
  }
  return names;
}

struct Sign {
  std::string_view sign;
  std::string_view color;
};

Sign SignOf(MatrixAnswer answer) {
  switch (answer) {
    case MatrixAnswer::kEnforced:
      return {"+", "\x1b[32m"};
    case MatrixAnswer::kSubstituted:
      return {"~", "\x1b[36m"};
    case MatrixAnswer::kWaived:
      return {"w", "\x1b[33m"};
    case MatrixAnswer::kRefused:
      return {"x", "\x1b[1;31m"};
    case MatrixAnswer::kNothing:
      return {".", ""};
    case MatrixAnswer::kNotJudged:
      return {"?", ""};
  }
  return {"?", ""};
}

std::string ComponentName(const std::string& component) {
  return component.empty() ? "(enclave)" : Shown(component);
}

std::string TargetsOf(const Matrix& matrix, const MatrixRefusal& refusal) {
  if (refusal.targets.size() == matrix.targets.size()) return "every target";
  std::string names;
  for (const size_t target : refusal.targets) {
    names += (names.empty() ? "" : ", ") + matrix.targets[target];
  }
  return names;
}

Json DiagnosticJson(const Diagnostic& diagnostic, const Sources& sources) {
  return Json::parse(RenderJson({diagnostic}, sources))["diagnostics"][0];
}

// Without the line and the caret: the same for each of the targets, and in documents.
std::string Reason(const Diagnostic& diagnostic, const Sources& sources) {
  const Json json = DiagnosticJson(diagnostic, sources);
  return fmt::format("{}:{}: {} [{}]", Shown(json["file"].get<std::string>()),
                     json["line"].get<int>(), Shown(diagnostic.message), diagnostic.code);
}

}  // namespace

std::optional<Matrix> SurveyAll(const std::string& path, const LoadOptions& options,
                                const CompileOptions& compile, PolicyResult& result) {
  const std::vector<std::string> targets = ShippedTargets();
  std::vector<Survey> surveys;
  bool any = false;
  for (const std::string& target : targets) {
    LoadOptions with = options;
    with.target = target;
    Diagnostics diagnostics;
    result.sources.clear();
    const auto loaded = LoadPolicyFile(path, with, result.sources, diagnostics);
    if (loaded) {
      any = true;
      surveys.push_back(SurveyTarget(*loaded, compile));
      continue;
    }
    result.diagnostics = diagnostics.Sorted();
    surveys.push_back({{}, result.diagnostics});
  }
  if (!any) return std::nullopt;
  return MakeMatrix(targets, surveys);
}

std::string MatrixText(const Matrix& matrix, const Sources& sources, bool color) {
  std::string out;
  for (size_t i = 0; i < matrix.targets.size(); ++i) {
    out += fmt::format("{:>3}  {}{}\n", i + 1, matrix.targets[i],
                       matrix.Holds(i) ? "" : "  (refused)");
  }
  std::vector<std::vector<std::string>> rows{{"COMPONENT", "STATEMENT"}};
  for (size_t i = 0; i < matrix.targets.size(); ++i) rows[0].push_back(std::to_string(i + 1));
  for (const MatrixRow& row : matrix.rows) {
    rows.push_back({ComponentName(row.component), Shown(row.statement)});
    for (const MatrixCell& cell : row.cells) {
      rows.back().emplace_back(SignOf(cell.answer).sign);
    }
  }
  // Colours have no width: they come in after the columns are set.
  std::string table = Table(rows);
  if (color) {
    std::string painted;
    size_t at = table.find('\n') + 1;
    painted = table.substr(0, at);
    for (; at < table.size();) {
      const size_t end = table.find('\n', at);
      const std::string line = table.substr(at, end - at);
      const size_t signs = line.find_last_not_of("+~wx.? ") + 1;
      painted += line.substr(0, signs);
      for (const char sign : line.substr(signs)) {
        std::string_view paint;
        for (const auto answer : {MatrixAnswer::kEnforced, MatrixAnswer::kSubstituted,
                                  MatrixAnswer::kWaived, MatrixAnswer::kRefused}) {
          if (SignOf(answer).sign[0] == sign) paint = SignOf(answer).color;
        }
        painted += paint.empty() ? std::string(1, sign) : fmt::format("{}{}\x1b[0m", paint, sign);
      }
      painted += "\n";
      at = end + 1;
    }
    table = std::move(painted);
  }
  out += "\n" + table +
         "\n+ enforced  ~ substituted by other controls  w waived  x refused  . nothing to do on "
         "this target  ? not judged: mend what is refused there first\n";
  for (const MatrixRefusal& refusal : matrix.refusals) {
    out += fmt::format("\n{}\n  on {}\n  help: {}\n", Reason(refusal.diagnostic, sources),
                       TargetsOf(matrix, refusal), Shown(refusal.diagnostic.help));
  }
  return out;
}

std::string MatrixJson(const Matrix& matrix, const Sources& sources) {
  Json json{{"targets", Json::array()}, {"rows", Json::array()}, {"refusals", Json::array()}};
  for (size_t i = 0; i < matrix.targets.size(); ++i) {
    json["targets"].push_back({{"name", matrix.targets[i]}, {"holds", matrix.Holds(i)}});
  }
  for (const MatrixRow& row : matrix.rows) {
    Json cells = Json::object();
    for (size_t i = 0; i < row.cells.size(); ++i) {
      Json cell{{"answer", MatrixAnswerName(row.cells[i].answer)}};
      const LedgerRow& ledger = row.cells[i].row;
      if (!ledger.statement.empty()) {
        Json entry = LedgerJson({ledger})[0];
        for (const char* key : {"controls", "recorder", "note"}) {
          if (entry.contains(key)) cell[key] = entry[key];
        }
      }
      cells[matrix.targets[i]] = std::move(cell);
    }
    json["rows"].push_back(
        {{"component", row.component}, {"statement", row.statement}, {"cells", cells}});
  }
  for (const MatrixRefusal& refusal : matrix.refusals) {
    Json names = Json::array();
    for (const size_t target : refusal.targets) names.push_back(matrix.targets[target]);
    Json entry{{"targets", names},
               {"component", refusal.diagnostic.component},
               {"statement", refusal.diagnostic.statement}};
    entry.update(DiagnosticJson(refusal.diagnostic, sources));
    json["refusals"].push_back(std::move(entry));
  }
  return JsonText(json);
}

std::string MatrixMarkdown(const Matrix& matrix, const Sources& sources, std::string_view name) {
  std::string out = fmt::format(
      "# Targets\n\n<!-- Made by BULKHEAD_REGENERATE=1 test-cli. -->\n\n"
      "What becomes of each statement of `{}` on each shipped target, as `bulkhead compile "
      "--target "
      "all` prints it. *substituted*: by other controls than the first choice, which the ledger of "
      "`bulkhead compile` names; *waived*: left open, as the policy says; *refused*: the policy "
      "does not compile for that target, for the reasons below; *nothing to do*: there is nothing "
      "to decide on that target, and nothing is open; *not judged*: another statement is refused "
      "there.\n\n| component | statement |",
      name);
  for (const std::string& target : matrix.targets) out += fmt::format(" {} |", target);
  out += "\n| --- | --- |";
  for (size_t i = 0; i < matrix.targets.size(); ++i) out += " --- |";
  out += "\n";
  for (const MatrixRow& row : matrix.rows) {
    out += fmt::format("| {} | `{}` |", ComponentName(row.component), row.statement);
    for (const MatrixCell& cell : row.cells) {
      const bool refused = cell.answer == MatrixAnswer::kRefused;
      const std::string_view mark = refused ? "**" : "";
      out += fmt::format(" {}{}{} |", mark, MatrixAnswerName(cell.answer), mark);
    }
    out += "\n";
  }
  out += "\n## Refused, and why\n";
  for (const MatrixRefusal& refusal : matrix.refusals) {
    out += fmt::format("\n- {}\n  - on {}\n  - {}\n", Reason(refusal.diagnostic, sources),
                       TargetsOf(matrix, refusal), refusal.diagnostic.help);
  }
  return out;
}

int ShowMatrix(const Invocation& invocation) {
  const auto inputs = ReadInputs(invocation.One(Parameter::kPolicy), invocation);
  if (!inputs) return inputs.error();
  PolicyResult result;
  const bool json = invocation.One(Parameter::kFormat) == "json";
  const auto matrix = SurveyAll(inputs->path, inputs->load, inputs->compile, result);
  if (!matrix) {
    if (!json) {
      PrintDiagnostics(result);
    } else if (!PrintOut(FailureJson(result))) {
      return kExitCannot;
    }
    return kExitNo;
  }
  const bool printed = PrintOut(json ? MatrixJson(*matrix, result.sources)
                                     : MatrixText(*matrix, result.sources, ColorOn(STDOUT_FILENO)));
  if (!printed) return kExitCannot;
  return matrix->refusals.empty() ? kExitDone : kExitNo;
}

}  // namespace bulkhead
