// SPDX-License-Identifier: Apache-2.0
#include "compiler/filter_cost.h"

#include <algorithm>
#include <vector>

namespace bulkhead {
namespace {

uint32_t LongestPath(const Filter& filter) {
  std::vector<uint32_t> longest(filter.size(), 1);
  for (size_t i = filter.size(); i-- > 0;) {
    const Instruction& instruction = filter[i];
    if (instruction.code == kReturn) continue;
    if (instruction.code == kJumpAlways) {
      longest[i] = 1 + longest[i + 1 + instruction.k];
    } else {  // what doesn't jump has offsets of 0
      longest[i] = 1 + std::max(longest[i + 1 + instruction.jt], longest[i + 1 + instruction.jf]);
    }
  }
  return longest.empty() ? 0 : longest[0];
}

class Sum {
 public:
  void Add(uint64_t weight, uint32_t executed) {
    weight_ += weight;
    instructions_ += static_cast<unsigned __int128>(weight) * executed;
    worst_ = std::max(worst_, executed);
  }

  MixCost Of(const Sum& all) const {
    MixCost cost;
    if (weight_ == 0) return cost;
    cost.share = static_cast<double>(weight_) / static_cast<double>(all.weight_);
    cost.average = static_cast<double>(instructions_) / static_cast<double>(weight_);
    cost.worst = worst_;
    return cost;
  }

 private:
  uint64_t weight_ = 0;
  unsigned __int128 instructions_ = 0;
  uint32_t worst_ = 0;
};

// Stops short of allowing what depends on more than number and architecture, as the kernel's own
// emulation of the filter does (seccomp_is_const_allow).
Filter WithoutOtherWords(Filter filter) {
  for (Instruction& instruction : filter) {
    const bool other = instruction.k != kOffsetNr && instruction.k != kOffsetArch;
    if (instruction.code == kLoad && other) instruction = {kReturn, 0, 0, kRetKillProcess};
  }
  return filter;
}

}  // namespace

FilterCost CostOf(const Filter& filter, Arch arch, const CallMix& mix) {
  const Filter by_number = WithoutOtherWords(filter);
  FilterCost cost;
  cost.length = filter.size();
  cost.longest = LongestPath(filter);
  Sum all;
  Sum uncached;
  for (const MixedCall& call : mix) {
    const SeccompData data{call.nr, AuditArch(arch), 0, call.args};
    const uint32_t executed = Evaluate(filter, data).executed;
    all.Add(call.weight, executed);
    const bool from_bitmap = Evaluate(by_number, data).action == kRetAllow;
    if (!from_bitmap) uncached.Add(call.weight, executed);
  }
  cost.all = all.Of(all);
  cost.uncached = uncached.Of(all);
  return cost;
}

}  // namespace bulkhead
