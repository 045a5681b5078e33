// SPDX-License-Identifier: Apache-2.0
// Variables: `${name}` inside text, replaced before anything is checked, so that a value is judged
// where it is used. `$${` stands for `${`. Values hold no variables.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "policy/diagnostics.h"
#include "policy/node.h"

namespace bulkhead {

using Variables = std::map<std::string, Node>;

// The policy's `vars` with the values of `set` over them. A name in `set` that the policy does not
// have is an error at a pseudo file "--set", which is added to `sources`.
Variables ReadVariables(const Node& policy, const std::map<std::string, std::string>& set,
                        Sources& sources, Diagnostics& diagnostics);

// Replaces in every value below `root`; keys and the top-level `vars` stay as they are.
void Substitute(Node& root, const Variables& variables, Diagnostics& diagnostics);

}  // namespace bulkhead
