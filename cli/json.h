// SPDX-License-Identifier: Apache-2.0
// Bundles as JSON, the stable form behind --format json, and JSON as text for people. Keys are in
// a fixed order, so equal bundles give equal text. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "profiles/bundle.h"

namespace bulkhead {

using Json = nlohmann::ordered_json;

// Two spaces of indentation and a line feed at the end; bytes that are not UTF-8 are replaced.
std::string JsonText(const Json& json);

// A value of an object by its key: empty, or `otherwise`, where there is none of that type, or
// where `json` is no object.
std::string TextOf(const Json& json, const char* key);
uint64_t NumberOf(const Json& json, const char* key, uint64_t otherwise);  // not of negative ones

Json TargetJson(const Target& target);
Json LedgerJson(const std::vector<LedgerRow>& ledger);
Json WaiversJson(const std::vector<Waiver>& waivers);
Json ComponentJson(const ProfileData& profile);
// All of the bundle but its components, its ledger and what the caller knows: digest and size.
Json EnclaveJson(const BundleData& bundle);

// An object as indented lines: lists of plain objects become tables, empty values are left out.
std::string Outline(const Json& json, size_t indent = 0);

}  // namespace bulkhead
