// SPDX-License-Identifier: Apache-2.0
// JSON bytes to a tree of nodes with places, the same tree as of a policy: texts are quoted
// scalars; numbers, true, false and null plain ones, as they are spelled. Iterative and bounded as
// the reader of policies is. Thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "policy/diagnostics.h"
#include "policy/node.h"

namespace bulkhead {

// nullopt after an error, E0601 to E0603: above the limits of policy/yaml_events.h, not JSON (RFC
// 8259), or a key that is there twice. `file` goes into every place.
std::optional<Node> ReadJson(std::string_view text, uint32_t file, Diagnostics& diagnostics);

}  // namespace bulkhead
