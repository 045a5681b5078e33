// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "compiler/calls.h"

namespace bulkhead {
namespace {

constexpr uint32_t kX32Bit = 0x40000000U;  // __X32_SYSCALL_BIT, asm/unistd.h

bool Holds(const Condition& condition, const SeccompData& data) {
  uint64_t value = data.args.at(condition.arg);
  if (condition.bits < 64) value &= (uint64_t{1} << condition.bits) - 1;
  const bool holds = condition.op == Condition::Op::kMasked
                         ? (value & condition.mask) == condition.value
                         : condition.from <= value && value <= condition.to;
  return holds != condition.negated;
}

bool AnyHolds(const std::vector<Conjunction>& conjunctions, const SeccompData& data) {
  return std::ranges::any_of(conjunctions, [&](const Conjunction& conjunction) {
    return std::ranges::all_of(conjunction,
                               [&](const Condition& condition) { return Holds(condition, data); });
  });
}

bool IsAllowed(const CallPlan& plan, const SeccompData& data) {
  return std::ranges::any_of(plan.rules, [&](const CallRule& rule) {
    return rule.nr == data.nr && !AnyHolds(rule.deny, data) && AnyHolds(rule.allow, data);
  });
}

}  // namespace

uint32_t ReferenceAction(const CallPlan& plan, const SeccompData& data) {
  if (data.arch != AuditArch(plan.arch)) return kRetKillProcess;
  if (plan.arch == Arch::kX86_64 && data.nr >= kX32Bit) return kRetKillProcess;
  if (IsAllowed(plan, data)) return kRetAllow;
  if (std::ranges::find(plan.absent, data.nr) != plan.absent.end()) return plan.absent_action;
  if (std::ranges::find(plan.skipped, data.nr) != plan.skipped.end()) return kRetErrno;
  if (plan.traced == data.nr) return kRetTrace;
  return plan.otherwise;
}

}  // namespace bulkhead
