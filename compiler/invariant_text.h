// SPDX-License-Identifier: Apache-2.0
// A sentence of `invariants`, read. Internal to compiler/. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace bulkhead {

struct Invariant {
  enum class Kind : uint8_t { kOnly, kNotReach, kNotInfluence, kNone, kEveryPath };
  Kind kind = Kind::kOnly;
  std::vector<std::string> subjects;  // kOnly: who may; kNone: all but these
  std::string verb;                   // kOnly, kNone
  std::vector<std::string> object;    // kNone: the words of a question
  bool is_asset = false;              // whether `targets` is the name of an asset
  std::vector<std::string> targets;   // but for kNone
  std::vector<std::string> through;   // kEveryPath
};

// The error says what was expected.
tl::expected<Invariant, std::string> ParseInvariant(std::string_view text);

}  // namespace bulkhead
