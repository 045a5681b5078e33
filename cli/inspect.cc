// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/ledger.h"
#include "cli/names.h"
#include "compiler/closure.h"

namespace bulkhead {
namespace {

std::vector<LedgerRow> RowsOf(const Bundle& bundle, const std::string& component) {
  std::vector<LedgerRow> rows = bundle->ledger;
  if (!component.empty()) {
    std::erase_if(rows, [&](const LedgerRow& row) { return row.component != component; });
  }
  return rows;
}

// The known ways round and by what each is closed in this component.
Json WaysJson(ClosureCheck& check, const ProfileData& profile) {
  const auto verdicts = check.Judge(profile);
  if (!verdicts) return {{"not_judged", verdicts.error()}};
  Json list = Json::array();
  for (const WayVerdict& verdict : *verdicts) {
    Json row{{"way", verdict.way->id}, {"about", IntentName(verdict.way->intent)}};
    switch (verdict.closure) {
      case Closure::kClosed:
        row["closed_by"] = LayerName(verdict.closer->layer);
        row["how"] = verdict.closer->text;
        break;
      case Closure::kNotStated:
        row["closed_by"] = "-";
        row["how"] = "the policy says nothing that could be got round";
        break;
      case Closure::kOpen:
        row["closed_by"] = "nothing";
        row["how"] = verdict.witness.empty() ? std::string(verdict.way->way)
                                             : fmt::format("`{}` passes", verdict.witness);
        break;
    }
    list.push_back(std::move(row));
  }
  return list;
}

Json BundleJson(const Opened& opened, const std::string& component) {
  Json json{{"digest", DigestText(opened.digest)}, {"size", opened.bytes.size()}};
  json.update(EnclaveJson(*opened.bundle));
  Json components = Json::array();
  ClosureCheck check(*opened.bundle);
  for (const ProfileData& profile : opened.bundle->components) {
    if (component.empty() || profile.name == component) {
      components.push_back(ComponentJson(profile));
      components.back()["ways_round"] = WaysJson(check, profile);
    }
  }
  json["components"] = std::move(components);
  json["ledger"] = LedgerJson(RowsOf(opened.bundle, component));
  return json;
}

std::string ForPeople(Json json, const std::vector<LedgerRow>& ledger, bool whole) {
  const Json components = std::move(json["components"]);
  json.erase("components");
  json.erase("ledger");
  std::string out =
      whole ? Outline(json) : fmt::format("digest: {}\n", json["digest"].get<std::string>());
  for (Json component : components) {
    out += fmt::format("\ncomponent {}\n", component["name"].get<std::string>());
    component.erase("name");
    out += Outline(component, 2);
  }
  return out + "\nledger\n" + LedgerInFull(ledger);
}

}  // namespace

int Inspect(const Invocation& invocation) {
  const auto opened = OpenBundle(invocation.One(Parameter::kBundle));
  if (!opened) return opened.error();
  const std::string only = invocation.One(Parameter::kOnly);
  if (!only.empty()) {
    const auto found = FindComponent(opened->bundle, only);
    if (!found) return found.error();
  }
  Json json = BundleJson(*opened, only);
  const bool printed =
      invocation.One(Parameter::kFormat) == "json"
          ? PrintOut(JsonText(json))
          : PrintOut(ForPeople(std::move(json), RowsOf(opened->bundle, only), only.empty()));
  return printed ? kExitDone : kExitCannot;
}

}  // namespace bulkhead
