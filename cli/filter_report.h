// SPDX-License-Identifier: Apache-2.0
// What filters cost, for people and as JSON. Pure.
#pragma once

#include <string>
#include <string_view>

#include "cli/json.h"
#include "compiler/filter_cost.h"
#include "profiles/bundle.h"

namespace bulkhead {

// One line a component: length and longest path of its filter, instructions that run for a call of
// the mix. `mix` is one of the bundle's architecture, `weights` its file, or empty for the built-in
// one.
std::string FilterTable(const BundleData& bundle, const CallMix& mix, std::string_view weights);
Json FiltersJson(const BundleData& bundle, const CallMix& mix);

Json FilterCostJson(const FilterCost& cost);

}  // namespace bulkhead
