// SPDX-License-Identifier: Apache-2.0
// A tree against the table of policy/schema.h: keys, forms, types, limits. Knows no meaning.
#pragma once

#include <string>
#include <string_view>

#include "policy/diagnostics.h"
#include "policy/node.h"

namespace bulkhead {

// Reports everything that does not fit the shape and makes it kBad in the tree, or drops it from
// its list, so that later stages use only what fits and report nothing missing that was written.
// Recursion is bounded by the depth of the tree.
void CheckShape(Node& node, std::string_view shape, Diagnostics& diagnostics);

// The name of an item: its identity key's value, or the item written on one line; empty when the
// identity key has no usable value.
std::string ItemName(const Node& item, std::string_view map_shape);

}  // namespace bulkhead
