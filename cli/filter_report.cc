// SPDX-License-Identifier: Apache-2.0
#include "cli/filter_report.h"

#include <fmt/format.h>

#include <cmath>

#include "cli/console.h"

namespace bulkhead {
namespace {

Json MixJson(const MixCost& cost) {
  // Two places, so that the text is the same on any machine.
  return {{"average", std::round(cost.average * 100) / 100}, {"worst", cost.worst}};
}

std::string Figures(const MixCost& cost) {
  return cost.share == 0 ? "-" : fmt::format("{:.2f}, {}", cost.average, cost.worst);
}

}  // namespace

Json FilterCostJson(const FilterCost& cost) {
  Json json{{"longest", cost.longest}, {"all", MixJson(cost.all)}};
  json["uncached"] = MixJson(cost.uncached);
  json["uncached"]["share"] = std::round(cost.uncached.share * 1e6) / 1e6;
  return json;
}

std::string FilterTable(const BundleData& bundle, const CallMix& mix, std::string_view weights) {
  std::vector<std::vector<std::string>> rows{
      {"COMPONENT", "FILTER", "LONGEST PATH", "ALL CALLS", "UNCACHED CALLS", "SHARE"}};
  for (const ProfileData& profile : bundle.components) {
    const FilterCost cost = CostOf(profile.filter, profile.arch, mix);
    rows.push_back({Shown(profile.name), fmt::format("{}", cost.length),
                    fmt::format("{}", cost.longest), Figures(cost.all), Figures(cost.uncached),
                    fmt::format("{:.2f}%", cost.uncached.share * 100)});
  }
  return Table(rows) +
         fmt::format(
             "instructions: of the program, of its longest path, of a call on average and "
             "at worst over {};\nsince Linux 5.11 the kernel runs the filter for uncached "
             "calls only, SHARE of the calls of the mix\n",
             weights.empty() ? "the built-in mix" : Shown(weights));
}

Json FiltersJson(const BundleData& bundle, const CallMix& mix) {
  Json list = Json::array();
  for (const ProfileData& profile : bundle.components) {
    const FilterCost cost = CostOf(profile.filter, profile.arch, mix);
    Json json{{"component", profile.name}, {"length", cost.length}};
    json.update(FilterCostJson(cost));
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace bulkhead
