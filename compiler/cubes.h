// SPDX-License-Identifier: Apache-2.0
// Sets of calls as unions of cubes: in each argument some bits are fixed and the others are
// anybody's. What formats that know only masked comparisons are written from. Not thread-safe.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/call_sets.h"
#include "profiles/syscalls.h"

namespace bulkhead {

struct MaskedValue {
  uint64_t mask = 0;
  uint64_t value = 0;  // within the mask
  auto operator<=>(const MaskedValue&) const = default;
};

struct Cube {
  std::array<MaskedValue, kMaxSyscallArgs> args;
  MaskedValue instruction_pointer;
  auto operator<=>(const Cube&) const = default;
};

// The calls of the cube, whatever their architecture and number.
CallSets::Set CubeSet(const Cube& cube, CallSets& sets);

// Cubes whose union is `set`, which depends on arguments and instruction pointer alone. None can be
// wider, none can be left out of those before it. nullopt: more than `most`, or the diagrams are
// exhausted.
std::optional<std::vector<Cube>> Cubes(CallSets::Set set, size_t most, CallSets& sets);

}  // namespace bulkhead
