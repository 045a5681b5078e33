// SPDX-License-Identifier: Apache-2.0
#include "compiler/why.h"

#include <fmt/format.h>

#include "cli/answer_json.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "cli/names.h"
#include "compiler/calls_text.h"

namespace bulkhead {
namespace {

std::string LinesText(const std::vector<Line>& chain) {
  std::string text;
  for (const Line& line : chain) {
    const size_t colon = line.rule.find(':');
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", line.rule.substr(colon + 1), line.place);
  }
  return text;
}

std::string_view VerdictWord(Verdict verdict) {
  constexpr std::string_view kWords[] = {"allows ", "startup", "unknown", "refuses"};
  return kWords[static_cast<size_t>(verdict)];
}

// Of an answer that hangs on arguments: a call that passes and one that does not.
std::string ExamplesText(const Explanation& answer, const ProfileData& component) {
  std::string text;
  if (answer.verdict != Verdict::kUndecided || answer.calls.size() < 2) return text;
  for (const SeccompData& call : answer.calls) {
    const SeccompData& beside = &call == &answer.calls[0] ? answer.calls[1] : answer.calls[0];
    const bool passes = Evaluate(component.filter, call).action == kRetAllow;
    text += fmt::format("  {:<11} {}\n", passes ? "passes" : "is refused",
                        CallText(component.arch, call, &beside));
  }
  return text;
}

std::string AnswerText(const Explanation& answer, const Opened& opened,
                       const ProfileData& component, const std::string& asked) {
  std::string out = fmt::format("{}: {}\n", VerdictName(answer.verdict), Shown(asked));
  for (const ControlVerdict& control : answer.controls) {
    out += fmt::format("  {:<11} {}  {}\n", LayerName(control.layer), VerdictWord(control.verdict),
                       Shown(control.text));
  }
  out += ExamplesText(answer, component);
  if (!answer.rule.empty()) out += fmt::format("  statement   {}\n", Shown(answer.rule));
  const std::string place = PlaceOf(opened.places, answer.rule);
  if (!place.empty()) out += fmt::format("  place       {}\n", Shown(place));
  for (const auto& chain : LinesBehind(answer, opened, component)) {
    out += fmt::format("  call        {}\n", Shown(LinesText(chain)));
  }
  if (answer.verdict == Verdict::kDeny || answer.verdict == Verdict::kUntilReady) {
    out += fmt::format("  recorded by {}\n", RecorderName(answer.recorder));
  }
  for (const LedgerRow& row : answer.in_play) {
    out += fmt::format("  {:<11} {}: {}\n", StatusName(row.status), Shown(row.statement),
                       Shown(row.note));
  }
  if (!answer.note.empty()) out += fmt::format("  note        {}\n", Shown(answer.note));
  return out;
}

}  // namespace

int Explain(const Invocation& invocation) {
  const auto opened = OpenInput(invocation, false);
  if (!opened) return opened.error();
  const std::string component = invocation.One(Parameter::kComponent);
  const auto found = FindComponent(opened->bundle, component);
  if (!found) return found.error();
  const std::string action = invocation.One(Parameter::kAction);
  const std::vector<std::string> object = invocation.All(Parameter::kObject);
  const auto answer = Why(opened->bundle, component, action, object);
  if (!answer) {
    PrintError(answer.error(), "`bulkhead why --help` lists actions and objects");
    return kExitWrongUsage;
  }
  const std::string asked = fmt::format("{} {} {}", component, action, fmt::join(object, " "));
  const bool printed = invocation.One(Parameter::kFormat) == "json"
                           ? PrintOut(JsonText(AnswerJson(*answer, *opened, **found)))
                           : PrintOut(AnswerText(*answer, *opened, **found, asked));
  if (!printed) return kExitCannot;
  return answer->verdict == Verdict::kAllow ? kExitDone : kExitNo;
}

}  // namespace bulkhead
