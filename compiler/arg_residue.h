// SPDX-License-Identifier: Apache-2.0
// What is left of a call's conditions when a word of its arguments is known. Internal to the
// generator. Pure, thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/calls.h"
#include "compiler/filter_writer.h"

namespace bulkhead {

struct Residue {  // allowed if one of `allow` holds and none of `deny`
  std::vector<Conjunction> allow;
  std::vector<Conjunction> deny;
  auto operator<=>(const Residue&) const = default;
};

// In one form: sorted, without conditions that always hold, conjunctions that never do, and
// alternatives to what always holds. Values that are any combination of some bits are one masked
// condition.
Residue Simplified(Residue residue);

// Nothing while it depends on arguments.
std::optional<bool> Decided(const Residue& residue);

// The word, cut to a mask, that the most conditions ask for next. Of a 64-bit argument the high
// word is first. There is one unless it is decided.
Held NextWord(const Residue& residue);

// The first values of stretches of the word within which nothing changes, sorted, 0 first.
std::vector<uint32_t> Cuts(const Residue& residue, const Held& held);

// Simplified, the word being one of the stretch that starts at `value`.
Residue Given(const Residue& residue, const Held& held, uint32_t value);

}  // namespace bulkhead
