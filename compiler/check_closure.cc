// SPDX-License-Identifier: Apache-2.0
// What is compiled, judged by the table of ways round.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/closure.h"
#include "compiler/planner.h"

namespace bulkhead {
namespace {

// Where the policy says the statement, or a part of it; else its component.
Place PlaceOf(const ComponentPlan& plan, std::string_view statement,
              const std::vector<MapRow>& map) {
  const std::string id = plan.Id(statement);
  const auto found = std::ranges::find_if(map, [&](const MapRow& row) {
    return row.id == id || row.id.starts_with(id + ".") || row.id.starts_with(id + ":");
  });
  return found == map.end() ? plan.policy.at.place : found->place;
}

std::string Choices(const WayVerdict& verdict) {
  if (verdict.peer.empty()) return std::string(verdict.way->choices);
  return fmt::format(
      "leave `memfd_create` out of the `syscalls` of `{}`, or let no edge and no channel but pipes "
      "lead from there to here",
      verdict.peer);
}

void Report(ComponentPlan& plan, const WayVerdict& verdict, const std::vector<MapRow>& map) {
  const WayRound& way = *verdict.way;
  const bool waivable = !way.statement.empty();
  if (waivable && plan.enclave.waivers.Use(plan.policy.name, way.statement) != nullptr) {
    plan.Row(fmt::format("ways-round.{}", way.id), {}, Status::kWaived, Recorder::kNone,
             fmt::format("open by the waiver of `{}`: {}", way.statement, way.way));
    return;
  }
  std::string text = fmt::format("`{}` of `{}` can be got round ({}): {}",
                                 waivable ? way.statement : IntentName(way.intent),
                                 plan.policy.name, way.id, way.way);
  if (!verdict.witness.empty()) text += fmt::format("; `{}` passes", verdict.witness);
  if (!verdict.peer.empty()) text += fmt::format("; `{}` can hand it such a file", verdict.peer);
  std::string help =
      waivable ? fmt::format(
                     "choices: {}; or a waiver of `{}`: under `waivers`, {{component: {}, "
                     "statement: {}, reason: ..., until: YYYY-MM-DD}}",
                     Choices(verdict), way.statement, plan.policy.name, way.statement)
               : "this is a bug in bulkhead: please report it with the policy";
  // What a peer can do is not in what this component says of its calls.
  const bool here = waivable && verdict.peer.empty();
  plan.Refuse(here ? PlaceOf(plan, way.statement, map) : plan.policy.at.place,
              waivable ? way.statement : fmt::format("ways-round.{}", way.id), "E0545",
              std::move(text), std::move(help));
}

}  // namespace

void CheckClosure(std::vector<ComponentPlan>& components, const BundleData& enclave,
                  const std::vector<MapRow>& map) {
  ClosureCheck check(enclave);
  for (ComponentPlan& plan : components) {
    const auto profile =
        std::ranges::find(enclave.components, plan.policy.name, &ProfileData::name);
    const auto verdicts = check.Judge(*profile);
    if (!verdicts) {
      plan.Error(
          plan.policy.at.place, "E0544",
          fmt::format("the filter of `{}` can't be judged: {}", plan.policy.name, verdicts.error()),
          "allow fewer calls, or with fewer different arguments");
      continue;
    }
    for (const WayVerdict& verdict : *verdicts) {
      if (verdict.closure == Closure::kOpen) Report(plan, verdict, map);
    }
  }
}

}  // namespace bulkhead
