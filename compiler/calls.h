// SPDX-License-Identifier: Apache-2.0
// What a component's seccomp filter has to decide, as plain data between its three readers: the
// resolver that makes it from the policy, the generator that turns it into BPF, and the reference
// that answers slowly and obviously. Pure values.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// A test of one argument register. The kernel looks at the low `bits` of it only, so the test does
// too: the rest of the register is anybody's.
struct Condition {
  enum class Op : uint8_t {
    kMasked,  // (arg & mask) == value
    kRange,   // from <= arg <= to, unsigned
  };
  uint8_t arg = 0;    // 0 to 5
  uint8_t bits = 32;  // 16, 32 or 64: the kernel's own width of this argument
  Op op = Op::kMasked;
  bool negated = false;
  uint64_t mask = 0;   // kMasked
  uint64_t value = 0;  // kMasked
  uint64_t from = 0;   // kRange
  uint64_t to = 0;     // kRange
  auto operator<=>(const Condition&) const = default;
};

using Conjunction = std::vector<Condition>;  // all hold; empty: always

struct CallRule {
  uint32_t nr = 0;
  std::vector<Conjunction> allow;  // one of them must hold
  std::vector<Conjunction> deny;   // and none of these
  auto operator<=>(const CallRule&) const = default;
};

struct CallPlan {
  Arch arch = Arch::kX86_64;
  std::vector<CallRule> rules;             // sorted by nr, unique
  uint32_t otherwise = kRetUserNotif;      // for what is not allowed
  std::vector<uint32_t> absent;            // sorted; not allowed, answered ENOSYS
  uint32_t absent_action = kRetUserNotif;  // kRetErrno | ENOSYS on a target without listeners
  // Sorted, none of them absent; not allowed, answered 0 by the filter without being made.
  std::vector<uint32_t> skipped;
  // Not allowed, absent or skipped: the launch's own exec on a target without listeners, answered
  // kRetTrace.
  std::optional<uint32_t> traced;
  auto operator<=>(const CallPlan&) const = default;
};

// Allowed to every component: the launch itself makes these after the filter is in place. None of
// them reaches anything that the component does not hold already.
inline constexpr std::string_view kAlwaysAllowed[] = {
    "close", "exit", "exit_group", "restart_syscall", "rt_sigreturn", "write"};

// What the plan says about one call: the slow, obvious reading. Foreign architectures and x32
// numbers are killed.
uint32_t ReferenceAction(const CallPlan& plan, const SeccompData& data);

}  // namespace bulkhead
