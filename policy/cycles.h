// SPDX-License-Identifier: Apache-2.0
// Cycles in named references. Iterative, deterministic, pure.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace bulkhead {

using References = std::map<std::string, std::vector<std::string>>;

// Cycles, each from its smallest name round to before it again; every name is in one at most.
// References to names that are not keys are ignored.
std::vector<std::vector<std::string>> FindCycles(References references);

}  // namespace bulkhead
