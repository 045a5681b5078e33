// SPDX-License-Identifier: Apache-2.0
// What a filter costs: instructions executed a call, by running it on the calls of a mix. Reads the
// program only, whoever made it. Pure, thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compiler/call_mix.h"
#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

struct MixCost {
  double share = 0;    // of the mix's weight, 0 to 1
  double average = 0;  // instructions a call, by weight; 0 without calls
  uint32_t worst = 0;  // of these calls
};

struct FilterCost {
  size_t length = 0;
  uint32_t longest = 0;  // path in the program, whether or not a call can take it
  MixCost all;
  MixCost uncached;  // without the calls that the kernel answers from its bitmap (call_mix.h)
};

// `filter` is without FilterDefect, `mix` not empty and of the same architecture.
FilterCost CostOf(const Filter& filter, Arch arch, const CallMix& mix);

}  // namespace bulkhead
