// SPDX-License-Identifier: Apache-2.0
// From the system calls that a policy names to the rules of one architecture: groups opened, names
// turned into numbers, argument tests into conditions of the kernel's own width. Mistakes go to the
// Diagnostics with codes E0501 to E0519, N0501. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "compiler/calls.h"
#include "policy/diagnostics.h"
#include "policy/policy.h"
#include "profiles/arch.h"

namespace bulkhead {

// The rules that `allow` and `deny` come to, sorted by number, one a call. A call that the
// architecture lacks is dropped with a note when a group brought it and is an error when the policy
// names it itself. A rule without arguments is unconditional. A call that is only denied has a rule
// too: a rule of another statement that allows it is still to be merged with it.
std::vector<CallRule> ResolveCalls(const Policy& policy, const std::vector<SyscallRule>& allow,
                                   const std::vector<SyscallRule>& deny, Arch arch,
                                   Diagnostics& diagnostics);

// A rule of the compiler itself. `name` must be a call of `arch`.
CallRule MakeRule(Arch arch, std::string_view name, std::vector<Conjunction> allow);

// The low `bits` of register `arg` are `value`.
Condition Equal(unsigned arg, unsigned bits, uint64_t value);
// They are `value` where `mask` has bits.
Condition MaskedEqual(unsigned arg, unsigned bits, uint64_t mask, uint64_t value);

// Sorted by number, the rules of a call joined: what one allows is allowed, what one denies denied.
// Lists are sorted, without repetitions; one that holds an empty conjunction holds only that. What
// can never be allowed is left out: merge once, when all rules are there.
std::vector<CallRule> MergeRules(std::vector<CallRule> rules);

}  // namespace bulkhead
