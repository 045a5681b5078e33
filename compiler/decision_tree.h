// SPDX-License-Identifier: Apache-2.0
// The comparisons that tell which segment of a line of numbers a value lies in, few of them for
// what is asked often. Dynamic programming over the places to cut, with tests for single numbers
// where both sides of one come to the same. Integers only: the same segments give the same tree on
// any machine. Pure, thread-safe.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bulkhead {

struct Segment {  // the values up to the first one of the next segment
  uint32_t first = 0;
  uint32_t outcome = 0;  // segments with the same outcome share its code
  uint64_t weight = 0;   // how often it is asked for
  auto operator<=>(const Segment&) const = default;
};

// The segments of a line from 0 to `last`: sorted, the first one starts at 0, neighbours differ.
struct Line {
  std::vector<Segment> segments;
  uint32_t last = UINT32_MAX;
  auto operator<=>(const Line&) const = default;

  // Appends; a neighbour with the same outcome becomes longer, one of no length is replaced.
  void Start(const Segment& segment);
  // How many values segment `index` has, less one.
  uint32_t Span(size_t index) const;
};

struct Branching {
  struct Target {
    bool leaf = true;
    uint32_t index = 0;  // the outcome, or a node that stands before this one
    bool operator==(const Target&) const = default;
  };
  enum class Test : uint8_t { kEqual, kAtLeast, kAnyBit };  // == k, >= k, & k != 0
  struct Node {
    Test test = Test::kEqual;
    uint32_t k = 0;
    Target yes;
    Target no;
  };
  std::vector<Node> nodes;
  Target root;
};

struct TreeCosts {
  uint64_t node = 0;  // what a comparison more in the program may cost, in weights
  uint64_t base = 0;  // added to the weight of each segment, so that rare ones stay shallow
};

Branching PlanTree(const Line& line, const TreeCosts& costs);

// Whether the value takes the branch `yes`.
bool Holds(const Branching::Node& node, uint32_t value);

// The most comparisons on a path.
size_t Depth(const Branching& tree);

}  // namespace bulkhead
