// SPDX-License-Identifier: Apache-2.0
#include "cli/answer_json.h"

#include <set>

#include "cli/names.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

Json LinesJson(const std::vector<std::vector<Line>>& chains) {
  Json json = Json::array();
  for (const auto& chain : chains) {
    Json lines = Json::array();
    for (const Line& line : chain) lines.push_back({{"rule", line.rule}, {"place", line.place}});
    json.push_back(lines);
  }
  return json;
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

}  // namespace

// The lines behind the calls that the answer is about, each chain once.
std::vector<std::vector<Line>> LinesBehind(const Explanation& answer, const Opened& opened,
                                           const ProfileData& component) {
  std::vector<std::vector<Line>> chains;
  std::set<std::string> seen;  // rules: a question can be of several calls
  for (const SeccompData& call : answer.calls) {
    for (const std::string_view list : {"deny", "allow"}) {
      auto lines = LinesOfCall(opened.places, component.name, list, call, component.arch);
      if (lines.empty() || !seen.insert(lines.back().rule).second) continue;
      chains.push_back(std::move(lines));
    }
  }
  return chains;
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

}  // namespace bulkhead
