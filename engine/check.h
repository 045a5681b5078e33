// SPDX-License-Identifier: Apache-2.0
// Compares what a bundle needs with what the running kernel offers, before anything starts. Pure.
#pragma once

#include <string>
#include <vector>

#include "profiles/bundle.h"
#include "profiles/features.h"

namespace bulkhead {

// One line for each requirement that is not met: which statement lacks what. Empty: may boot.
std::vector<std::string> UnmetRequirements(const Bundle& bundle, Arch arch,
                                           const FeatureSet& kernel);

}  // namespace bulkhead
