// SPDX-License-Identifier: Apache-2.0
// What may be in a view under its own name alone: nobody's files are read by a second one, which no
// question to the policy would know of. MeetsKept in sandbox/view.h judges by it. Links within the
// kernel's own trees, or within what a component writes, lead to no more than these.
//
// Errors: a text for a person, naming object and path. No state, any thread.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/bundle.h"
#include "sandbox/view.h"

namespace bulkhead {

// By the names that the bundle has.
std::vector<KeptPath> KeptPaths(const Bundle& bundle, const std::string& run_directory);

// With the names without links that these have on this machine, which decide. An asset must be
// named so: its name is what the policy's tests and invariants are asked about.
tl::expected<std::vector<KeptPath>, std::string> KeptByRealNames(const Bundle& bundle,
                                                                 const std::string& run_directory);

}  // namespace bulkhead
