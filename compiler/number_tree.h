// SPDX-License-Identifier: Apache-2.0
// The comparisons that tell what a system call number comes to. Besides those of decision_tree.h, a
// test of bits may come first: numbers that are made of some low bits only, {0 to 31, 64 to 95}
// say, are set apart by one instruction where no comparison could. Pure, thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "compiler/decision_tree.h"

namespace bulkhead {

struct Point {  // a number that is asked for
  uint32_t value = 0;
  uint64_t weight = 0;
  auto operator<=>(const Point&) const = default;
};

struct NumberLine {
  Line line;                  // its weights are those of the points
  std::vector<Point> points;  // sorted, each once; their weights come to about kMixTotal
  auto operator<=>(const NumberLine&) const = default;
};

// Few comparisons for the points; no path much longer than that of a balanced tree.
Branching PlanNumberTree(const NumberLine& numbers);

}  // namespace bulkhead
