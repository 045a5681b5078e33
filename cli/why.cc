// SPDX-License-Identifier: Apache-2.0
#include "compiler/why.h"

#include <fmt/format.h>

#include <set>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/names.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// The lines behind the calls that the answer is about, each chain once.
std::vector<std::vector<Line>> LinesBehind(const Explanation& answer, const Opened& opened,
                                           const ProfileData& component) {
  std::vector<std::vector<Line>> chains;
  std::set<uint32_t> seen;
  for (const SeccompData& call : answer.calls) {
    if (!seen.insert(call.nr).second) continue;
    const std::string_view name = SyscallName(component.arch, call.nr);
    for (const std::string_view list : {"deny", "allow"}) {
      auto lines = LinesOfCall(opened.places, component.name, list, name);
      if (!lines.empty()) chains.push_back(std::move(lines));
    }
  }
  return chains;
}

Json LinesJson(const std::vector<std::vector<Line>>& chains) {
  Json json = Json::array();
  for (const auto& chain : chains) {
    Json lines = Json::array();
    for (const Line& line : chain) lines.push_back({{"rule", line.rule}, {"place", line.place}});
    json.push_back(lines);
  }
  return json;
}

std::string LinesText(const std::vector<Line>& chain) {
  std::string text;
  for (const Line& line : chain) {
    const size_t colon = line.rule.find(':');
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", line.rule.substr(colon + 1), line.place);
  }
  return text;
}

Json CallJson(const SeccompData& call, Arch arch) {
  const std::string_view name = SyscallName(arch, call.nr);
  Json args = Json::object();
  const SyscallArgList infos = SyscallArgs(arch, name);
  for (size_t i = 0; i < infos.size(); ++i) {
    if (infos[i].type != ArgType::kPointer) args[std::string(infos[i].name)] = call.args.at(i);
  }
  return {{"call", name}, {"arguments", args}};
}

Json AnswerJson(const Explanation& answer, const Opened& opened, const ProfileData& component) {
  Json controls = Json::array();
  for (const ControlVerdict& control : answer.controls) {
    controls.push_back({{"layer", LayerName(control.layer)},
                        {"verdict", VerdictName(control.verdict)},
                        {"text", control.text},
                        {"rule", control.rule},
                        {"place", PlaceOf(opened.places, control.rule)},
                        {"recorder", RecorderName(control.recorder)}});
  }
  Json calls = Json::array();
  for (const SeccompData& call : answer.calls) calls.push_back(CallJson(call, component.arch));
  Json in_play = Json::array();
  for (const LedgerRow& row : answer.in_play) {
    in_play.push_back(
        {{"statement", row.statement}, {"status", StatusName(row.status)}, {"note", row.note}});
  }
  return {{"verdict", VerdictName(answer.verdict)},
          {"bundle", DigestText(opened.digest)},
          {"calls", calls},
          {"lines", LinesJson(LinesBehind(answer, opened, component))},
          {"controls", controls},
          {"rule", answer.rule},
          {"place", PlaceOf(opened.places, answer.rule)},
          {"recorder", RecorderName(answer.recorder)},
          {"in_play", in_play},
          {"note", answer.note}};
}

std::string_view VerdictWord(Verdict verdict) {
  constexpr std::string_view kWords[] = {"allows ", "unknown", "refuses"};
  return kWords[static_cast<size_t>(verdict)];
}

std::string AnswerText(const Explanation& answer, const Opened& opened,
                       const ProfileData& component, const std::string& asked) {
  std::string out = fmt::format("{}: {}\n", VerdictName(answer.verdict), Shown(asked));
  for (const ControlVerdict& control : answer.controls) {
    out += fmt::format("  {:<11} {}  {}\n", LayerName(control.layer), VerdictWord(control.verdict),
                       Shown(control.text));
  }
  if (!answer.rule.empty()) out += fmt::format("  statement   {}\n", Shown(answer.rule));
  const std::string place = PlaceOf(opened.places, answer.rule);
  if (!place.empty()) out += fmt::format("  place       {}\n", Shown(place));
  for (const auto& chain : LinesBehind(answer, opened, component)) {
    out += fmt::format("  call        {}\n", Shown(LinesText(chain)));
  }
  if (answer.verdict == Verdict::kDeny) {
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
                           ? PrintOut(JsonText(AnswerJson(*answer, *opened, **found)))
                           : PrintOut(AnswerText(*answer, *opened, **found, asked));
  if (!printed) return kExitCannot;
  return answer->verdict == Verdict::kAllow ? kExitDone : kExitNo;
}

}  // namespace bulkhead
