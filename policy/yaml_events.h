// SPDX-License-Identifier: Apache-2.0
// YAML bytes to a tree of nodes, by yaml-cpp's event interface; its .cc is the only file that
// includes yaml-cpp. What YAML readers disagree about is refused: see docs/LANGUAGE.md, "The text".
// Iterative: input nests only on the heap. Bounded: size, depth and number of nodes.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "policy/diagnostics.h"
#include "policy/node.h"

namespace bulkhead {

inline constexpr size_t kMaxFileSize = 1U << 20;  // bytes
inline constexpr size_t kMaxDepth = 32;           // of lists and maps
inline constexpr size_t kMaxNodes = 100000;       // scalars, lists and maps, keys included

// nullopt when the text has no usable tree. A tree may be returned beside errors: what was refused
// is kBad in it, so that the rest can still be checked. `file` goes into every place.
std::optional<Node> ReadYaml(std::string_view text, uint32_t file, Diagnostics& diagnostics);

}  // namespace bulkhead
