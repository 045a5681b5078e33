// SPDX-License-Identifier: Apache-2.0
// What somebody answers for: changes of `bulkhead diff` that may widen, by whom, why and until
// when. A YAML file of its own beside the policy, so that a review can see who added what. Not
// thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

struct Acceptance {
  std::string component;      // empty: the enclave
  std::vector<Text> changes;  // as `diff` prints them: "read /srv/models"
  std::string owner;
  std::string reason;
  std::string until;  // YYYY-MM-DD, the last day it holds
  Place place;
};

// nullopt exactly when `diagnostics` has new errors. `sources` receives the file.
std::optional<std::vector<Acceptance>> LoadAcceptances(const std::string& path, Sources& sources,
                                                       Diagnostics& diagnostics);

}  // namespace bulkhead
