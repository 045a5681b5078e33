// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "cli/policy_report.h"
#include "compiler/invariants.h"
#include "compiler/policy_tests.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

std::string PlaceText(const Place& place, const Sources& sources) {
  const std::string name = place.file < sources.size() ? sources[place.file].name : "?";
  return fmt::format("{}:{}:{}", name, place.line, place.column);
}

std::string WithPlace(const Places& places, const std::string& rule) {
  const std::string place = PlaceOf(places, rule);
  return place.empty() ? rule : fmt::format("{}, {}", rule, place);
}

TestCase CaseOf(const PolicyTestResult& result, const Places& places, const Sources& sources) {
  TestCase test;
  test.name = result.test->name;
  test.passed = result.passed;
  test.place = PlaceText(result.test->written->at.place, sources);
  test.details.push_back(fmt::format("the answer is {}", VerdictName(result.answer.verdict)));
  for (const ControlVerdict& control : result.answer.controls) {
    test.details.push_back(fmt::format(
        "{}: {}{}{}", LayerName(control.layer), control.text, control.rule.empty() ? "" : "; ",
        control.rule.empty() ? "" : WithPlace(places, control.rule)));
  }
  if (!result.answer.note.empty()) test.details.push_back("note: " + result.answer.note);
  return test;
}

TestCase CaseOf(const InvariantResult& result, const Places& places, const Sources& sources) {
  TestCase test;
  test.name = result.text;
  test.invariant = true;
  test.passed = result.holds();
  test.place = PlaceText(result.place, sources);
  for (const InvariantStep& step : result.path) {
    test.details.push_back(
        fmt::format("{} {} ({})", step.who, step.does, WithPlace(places, step.rule)));
  }
  return test;
}

// Statements of the policy that decide something; not the entries of groups, which many share.
std::vector<Line> Statements(const Places& places) {
  std::vector<Line> statements;
  for (const auto& [rule, place] : places) {
    const bool decides = (rule.starts_with("components.") && rule.find(':') != std::string::npos &&
                          rule.find(".exec:") == std::string::npos) ||
                         rule.starts_with("assets.") || rule.starts_with("channels:");
    if (decides) statements.push_back({rule, place});
  }
  return statements;
}

void Exercise(const PolicyTestResult& result, const Places& places, std::set<std::string>& rules) {
  rules.insert(result.answer.rule);
  for (const ControlVerdict& control : result.answer.controls) rules.insert(control.rule);
  const ProfileData& component = *result.test->component;
  for (const SeccompData& call : result.answer.calls) {
    for (const std::string_view list : {"allow", "deny"}) {
      for (const Line& line : LinesOfCall(places, component.name, list, call, component.arch)) {
        rules.insert(line.rule);
      }
    }
  }
}

TestReport Report(const PolicyResult& result, std::span<const PolicyTestResult> tests,
                  std::span<const InvariantResult> invariants) {
  const Bundle& bundle = result.compilation->bundle;
  const std::vector<uint8_t> bytes = EncodeBundle(bundle);
  const Places places = PlacesOf(*result.compilation, result.sources, BundleDigest(bytes));
  TestReport report;
  report.enclave = bundle->enclave;
  report.target = bundle->target.name;
  std::set<std::string> rules;
  for (const PolicyTestResult& test : tests) {
    report.cases.push_back(CaseOf(test, places, result.sources));
    Exercise(test, places, rules);
  }
  for (const InvariantResult& invariant : invariants) {
    report.cases.push_back(CaseOf(invariant, places, result.sources));
  }
  report.unexercised = Statements(places);
  report.statements = report.unexercised.size();
  std::erase_if(report.unexercised, [&](const Line& line) { return rules.contains(line.rule); });
  return report;
}

int Defect(const std::string& error) {
  PrintError(error, "this is a bug in bulkhead; please report it with the policy");
  return kExitDefect;
}

}  // namespace

int TestPolicyFile(const Invocation& invocation) {
  const auto result = CompilePolicy(invocation.One(Parameter::kPolicy), invocation, false);
  if (!result) return result.error();
  if (!result->compilation) {
    PrintDiagnostics(*result);
    return kExitNo;
  }
  const Bundle& bundle = result->compilation->bundle;
  const Policy& policy = result->loaded->policy;
  Diagnostics diagnostics;
  Evaluator evaluator(bundle);
  const std::vector<PolicyTest> read = ReadTests(bundle, policy.tests, diagnostics);
  const auto tests = RunTests(evaluator, read);
  if (!tests) {
    PrintError(tests.error());
    return kExitNo;
  }
  const auto invariants = CheckInvariants(evaluator, policy.invariants, diagnostics);
  if (!invariants) return Defect(invariants.error());
  for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
    PrintRaw(RenderText(diagnostic, result->sources, ColorOn(2)));
  }
  if (diagnostics.HasErrors()) return kExitNo;
  PrintDiagnostics(*result);
  const TestReport report = Report(*result, *tests, *invariants);
  if (!PrintOut(ReportText(report, invocation.One(Parameter::kTestFormat)))) return kExitCannot;
  return report.Failures() == 0 ? kExitDone : kExitNo;
}

}  // namespace bulkhead
