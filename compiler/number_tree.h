// SPDX-License-Identifier: Apache-2.0
// The comparisons that tell what a system call number comes to. Besides those of decision_tree.h, a
// test of bits may come first: numbers that are made of some low bits only, {0 to 31, 64 to 95}
// say, are set apart by one instruction where no comparison could. Pure, thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "compiler/call_mix.h"
#include "compiler/decision_tree.h"

namespace bulkhead {

// A comparison more in the program must save one for so great a part of the calls.
inline constexpr uint64_t kNodeCost = kMixTotal >> 6;

struct Point {  // a number that is asked for
  uint32_t value = 0;
  uint64_t weight = 0;
  auto operator<=>(const Point&) const = default;
};

struct NumberLine {
  Line line;                  // its weights are those of the points
  std::vector<Point> points;  // sorted, each once; their weights come to about kMixTotal
  // By outcome, the instructions on the longest path of what follows.
  std::vector<uint32_t> heights;
  auto operator<=>(const NumberLine&) const = default;
};

// Few comparisons for the points, and no path much longer than it has to be.
Branching PlanNumberTree(const NumberLine& numbers);

}  // namespace bulkhead
