// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/console.h"
#include "cli/json.h"

namespace bulkhead {
namespace {

std::string_view KindOf(const TestCase& test) { return test.invariant ? "invariant" : "test"; }

std::string Text(const TestReport& report) {
  std::string out;
  for (const TestCase& test : report.cases) {
    out += fmt::format("{}  {}{}\n", test.passed ? "ok    " : "FAILED",
                       test.invariant ? "invariant: " : "", Shown(test.name));
    if (test.passed) continue;
    out += fmt::format("        {}\n", Shown(test.place));
    for (const std::string& detail : test.details) {
      out += fmt::format("        {}\n", Shown(detail));
    }
  }
  if (report.cases.empty()) out += "the policy has no `tests` and no `invariants`\n";
  out += fmt::format("\n{} of {} failed; {} of {} statements exercised by tests\n",
                     report.Failures(), report.cases.size(),
                     report.statements - report.unexercised.size(), report.statements);
  for (const Line& line : report.unexercised) {
    out += fmt::format("  not exercised: {} {}\n", Shown(line.rule), Shown(line.place));
  }
  return out;
}

// `#` begins a directive in a TAP description, and a backslash hides it.
std::string TapText(std::string_view text) {
  std::string out;
  for (const char c : Shown(text)) {
    if (c == '#' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string Tap(const TestReport& report) {
  std::string out = fmt::format("TAP version 14\n1..{}\n", report.cases.size());
  size_t number = 0;
  for (const TestCase& test : report.cases) {
    out += fmt::format("{}ok {} - {}: {}\n", test.passed ? "" : "not ", ++number, KindOf(test),
                       TapText(test.name));
    if (test.passed) continue;
    out += fmt::format("# {}\n", Shown(test.place));
    for (const std::string& detail : test.details) out += fmt::format("# {}\n", Shown(detail));
  }
  for (const Line& line : report.unexercised) {
    out += fmt::format("# not exercised: {} {}\n", Shown(line.rule), Shown(line.place));
  }
  return out;
}

std::string XmlText(std::string_view text) {
  std::string out;
  for (const char c : Shown(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Junit(const TestReport& report) {
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites>\n  <testsuite name=\"{} on {}\" tests=\"{}\" failures=\"{}\">\n",
      XmlText(report.enclave), XmlText(report.target), report.cases.size(), report.Failures());
  for (const TestCase& test : report.cases) {
    out +=
        fmt::format("    <testcase classname=\"{}\" name=\"{}\"", KindOf(test), XmlText(test.name));
    if (test.passed) {
      out += "/>\n";
      continue;
    }
    out += fmt::format(">\n      <failure message=\"{}\">{}", XmlText(test.place),
                       test.details.empty() ? "" : "\n");
    for (const std::string& detail : test.details) out += XmlText(detail) + "\n";
    out += "</failure>\n    </testcase>\n";
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

std::string JsonReport(const TestReport& report) {
  Json cases = Json::array();
  for (const TestCase& test : report.cases) {
    cases.push_back({{"kind", KindOf(test)},
                     {"name", test.name},
                     {"passed", test.passed},
                     {"place", test.place},
                     {"details", test.details}});
  }
  Json unexercised = Json::array();
  for (const Line& line : report.unexercised) {
    unexercised.push_back({{"rule", line.rule}, {"place", line.place}});
  }
  return JsonText({{"enclave", report.enclave},
                   {"target", report.target},
                   {"failures", report.Failures()},
                   {"cases", cases},
                   {"statements", report.statements},
                   {"unexercised", unexercised}});
}

}  // namespace

size_t TestReport::Failures() const {
  return static_cast<size_t>(std::ranges::count(cases, false, &TestCase::passed));
}

std::string ReportText(const TestReport& report, std::string_view format) {
  if (format == "tap") return Tap(report);
  if (format == "junit") return Junit(report);
  if (format == "json") return JsonReport(report);
  return Text(report);
}

}  // namespace bulkhead
