// SPDX-License-Identifier: Apache-2.0
#include "compiler/call_ranges.h"

#include <algorithm>

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
  RangeList list;
  list.Start(0, {plan.otherwise, nullptr});
  const uint32_t last = plan.arch == Arch::kX86_64 ? kX32Bit - 1 : UINT32_MAX;
  auto rule = plan.rules.begin();
  auto absent = plan.absent.begin();
  while (rule != plan.rules.end() || absent != plan.absent.end()) {
    const bool has_rule =
        rule != plan.rules.end() && (absent == plan.absent.end() || rule->nr <= *absent);
    const uint32_t nr = has_rule ? rule->nr : *absent;
    if (nr > last) break;
    const bool is_absent = absent != plan.absent.end() && *absent == nr;
    const uint32_t refused = is_absent ? plan.absent_action : plan.otherwise;
    list.Start(nr, has_rule ? OutcomeOf(*rule, refused) : Outcome{refused, nullptr});
    if (nr != UINT32_MAX) list.Start(nr + 1, {plan.otherwise, nullptr});
    if (has_rule) ++rule;
    if (is_absent) ++absent;
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
