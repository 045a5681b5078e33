// SPDX-License-Identifier: Apache-2.0
// A YAML document as a tree of values with places, before it means anything. Plain data; a tree
// is at most kMaxDepth deep, so walking it by recursion is bounded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/diagnostics.h"

namespace bulkhead {

enum class NodeKind : uint8_t {
  kBad,  // refused when read; stands where it stood so that nothing is reported missing
  kScalar,
  kList,
  kMap,
};

enum class ScalarStyle : uint8_t {
  kPlain,
  kQuoted,
  kEither,  // a value of the command line, which has no quotes
};

struct Entry;

struct Node {
  NodeKind kind = NodeKind::kBad;
  ScalarStyle style = ScalarStyle::kPlain;
  std::string text;  // kScalar
  Place place;
  uint32_t layer = 0;          // 0: written in the component itself; n: came by its nth profile
  std::vector<Node> items;     // kList
  std::vector<Entry> entries;  // kMap, in the order of the file, keys unique

  const Entry* Find(std::string_view key) const;
  Entry* Find(std::string_view key);
};

struct Entry {
  std::string key;
  Place key_place;
  ScalarStyle key_style = ScalarStyle::kPlain;
  Node value;
};

inline const Entry* Node::Find(std::string_view key) const {
  const auto it = std::find_if(entries.begin(), entries.end(),
                               [&](const Entry& entry) { return entry.key == key; });
  return it == entries.end() ? nullptr : &*it;
}

inline Entry* Node::Find(std::string_view key) {
  return const_cast<Entry*>(static_cast<const Node*>(this)->Find(key));
}

// A canonical one-line form, "{a:1,b:[x,y]}" with sorted keys: equal exactly for equal values.
std::string Flow(const Node& node);

}  // namespace bulkhead
