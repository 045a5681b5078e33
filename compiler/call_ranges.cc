// SPDX-License-Identifier: Apache-2.0
#include "compiler/call_ranges.h"

#include <algorithm>
#include <map>

namespace bulkhead {
namespace {

constexpr uint32_t kX32Bit = 0x40000000U;  // __X32_SYSCALL_BIT, asm/unistd.h

// What a call that is answered from the bitmap counts for: it settles what is left open.
constexpr uint64_t kCachedPart = 1024;

bool HasEmpty(const std::vector<Conjunction>& conjunctions) {
  return std::ranges::any_of(conjunctions, &Conjunction::empty);
}

Outcome OutcomeOf(const CallRule& rule, uint32_t refused) {
  if (rule.allow.empty() || HasEmpty(rule.deny)) return {refused, nullptr};
  if (rule.deny.empty() && HasEmpty(rule.allow)) return {kRetAllow, nullptr};
  return {refused, &rule};
}

class RangeList {
 public:
  // Appends the numbers from `first` on.
  void Start(uint32_t first, const Outcome& outcome) {
    const auto known = std::ranges::find(ranges_.outcomes, outcome);
    const auto index = static_cast<uint32_t>(known - ranges_.outcomes.begin());
    if (known == ranges_.outcomes.end()) ranges_.outcomes.push_back(outcome);
    ranges_.numbers.line.Start({first, index, 0});
  }

  CallRanges Take() { return std::move(ranges_); }

 private:
  CallRanges ranges_;
};

uint64_t Scaled(uint64_t value, uint64_t by, uint64_t of) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(value) * by / of);
}

}  // namespace

bool Outcome::operator==(const Outcome& other) const {
  if (action != other.action || (rule == nullptr) != (other.rule == nullptr)) return false;
  return rule == nullptr || (rule->allow == other.rule->allow && rule->deny == other.rule->deny);
}

CallRanges RangesOf(const CallPlan& plan) {
  std::map<uint32_t, Outcome> outcomes;
  for (const uint32_t nr : plan.absent) outcomes[nr].action = plan.absent_action;
  for (const uint32_t nr : plan.skipped) outcomes[nr].action = kRetErrno;
  if (plan.traced) outcomes[*plan.traced].action = kRetTrace;
  for (const CallRule& rule : plan.rules) {
    const auto listed = outcomes.find(rule.nr);
    outcomes[rule.nr] =
        OutcomeOf(rule, listed == outcomes.end() ? plan.otherwise : listed->second.action);
  }
  RangeList list;
  list.Start(0, {plan.otherwise, nullptr});
  const uint32_t last = plan.arch == Arch::kX86_64 ? kX32Bit - 1 : UINT32_MAX;
  for (const auto& [nr, outcome] : outcomes) {
    if (nr > last) break;
    list.Start(nr, outcome);
    if (nr != UINT32_MAX) list.Start(nr + 1, {plan.otherwise, nullptr});
  }
  if (last != UINT32_MAX) list.Start(last + 1, {kRetKillProcess, nullptr});
  return list.Take();
}

void WeighRanges(CallRanges& ranges, const CallMix& mix, Weighing weighing) {
  std::vector<Segment>& segments = ranges.numbers.line.segments;
  std::vector<Point>& points = ranges.numbers.points;
  std::vector<size_t> segment_of;
  uint64_t uncached = 0;
  size_t at = 0;
  for (const MixedCall& call : mix) {
    while (at + 1 < segments.size() && segments[at + 1].first <= call.nr) ++at;
    if (!ranges.outcomes[segments[at].outcome].IsConstantAllow()) uncached += call.weight;
    if (points.empty() || points.back().value != call.nr) {
      points.push_back({call.nr, 0});
      segment_of.push_back(at);
    }
    points.back().weight += call.weight;
  }
  const bool by_all = weighing == Weighing::kAll || uncached == 0;
  for (size_t i = 0; i < points.size(); ++i) {
    Segment& segment = segments[segment_of[i]];
    if (!by_all) {
      const bool cached = ranges.outcomes[segment.outcome].IsConstantAllow();
      points[i].weight =
          cached ? points[i].weight / kCachedPart : Scaled(points[i].weight, kMixTotal, uncached);
    }
    segment.weight += points[i].weight;
  }
}

}  // namespace bulkhead
