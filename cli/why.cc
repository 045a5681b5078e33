// SPDX-License-Identifier: Apache-2.0
#include "compiler/why.h"

#include <fmt/format.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/names.h"

namespace bulkhead {
namespace {

std::string_view VerdictOf(const WhyAnswer& answer) {
  if (!answer.decidable) return "undecided";
  return answer.allowed ? "allow" : "deny";
}

// A statement without a place of its own, such as one that the compiler implies, has that of the
// nearest statement above it.
std::string PlaceOf(const Places& places, std::string_view rule) {
  for (;;) {
    const auto found = places.find(rule);
    if (found != places.end()) return found->second;
    const size_t cut = rule.find_last_of(".:");
    if (cut == std::string_view::npos) return {};
    rule = rule.substr(0, cut);
  }
}

Json AnswerJson(const WhyAnswer& answer, const Opened& opened) {
  Json controls = Json::array();
  for (const ControlVerdict& control : answer.controls) {
    controls.push_back(
        {{"layer", LayerName(control.layer)}, {"allows", control.allows}, {"text", control.text}});
  }
  return {{"verdict", VerdictOf(answer)},
          {"bundle", DigestText(opened.digest)},
          {"controls", controls},
          {"rule", answer.rule},
          {"place", PlaceOf(opened.places, answer.rule)},
          {"recorder", RecorderName(answer.recorder)},
          {"note", answer.note}};
}

std::string AnswerText(const WhyAnswer& answer, const Opened& opened, const std::string& asked) {
  std::string out = fmt::format("{}: {}\n", VerdictOf(answer), Shown(asked));
  for (const ControlVerdict& control : answer.controls) {
    out += fmt::format("  {:<11} {}  {}\n", LayerName(control.layer),
                       control.allows ? "allows " : "refuses", Shown(control.text));
  }
  if (!answer.rule.empty()) out += fmt::format("  statement   {}\n", Shown(answer.rule));
  const std::string place = PlaceOf(opened.places, answer.rule);
  if (!place.empty()) out += fmt::format("  place       {}\n", Shown(place));
  if (!answer.allowed) out += fmt::format("  recorded by {}\n", RecorderName(answer.recorder));
  if (!answer.note.empty()) out += fmt::format("  note        {}\n", Shown(answer.note));
  return out;
}

}  // namespace

int Explain(const Invocation& invocation) {
  const auto opened = OpenInput(invocation);
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
                           ? PrintOut(JsonText(AnswerJson(*answer, *opened)))
                           : PrintOut(AnswerText(*answer, *opened, asked));
  if (!printed) return kExitCannot;
  return answer->decidable && answer->allowed ? kExitDone : kExitNo;
}

}  // namespace bulkhead
