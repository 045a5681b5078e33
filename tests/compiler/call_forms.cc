// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/call_forms.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>

#include "profiles/syscalls.h"

namespace bulkhead::testing {
namespace {

constexpr uint64_t kClosed = 0x3fffffff;      // no descriptor
constexpr uint64_t kNobody = 0x7ffffffe;      // no process: above PID_MAX_LIMIT
constexpr uint64_t kNowhere = 8;              // no address: the first page is never mapped
constexpr uint64_t kBeyond = UINT64_MAX - 7;  // no address of a process

// Calls that would do something with the general values, or wait.
struct Special {
  std::string_view call;
  std::string_view arg;
  uint64_t value;
};

constexpr Special kSpecial[] = {
    {"arch_prctl", "addr", kBeyond},  // EPERM: the thread keeps its storage
    {"close_range", "first", 1},      // above the last: EINVAL
    {"exit", "status", 7},
    {"exit_group", "status", 7},
};

constexpr std::string_view kProcesses[] = {"pid", "tgid", "tid", "pgid", "who"};

uint64_t Harmless(std::string_view call, const ArgInfo& arg) {
  for (const Special& special : kSpecial) {
    if (special.call == call && special.arg == arg.name) return special.value;
  }
  if (arg.type == ArgType::kPointer) return kNowhere;
  if (std::ranges::find(kProcesses, arg.name) != std::end(kProcesses)) return kNobody;
  const bool descriptor = arg.name.find("fd") != std::string_view::npos && arg.name != "nfds";
  return descriptor ? kClosed : 0;
}

bool Holds(const Condition& condition, uint64_t value) {
  const CallPlan plan{NativeArch(), {{0, {{condition}}, {}}}, kRetUserNotif, {}, kRetUserNotif};
  SeccompData data{0, AuditArch(plan.arch), 0, {}};
  data.args.at(condition.arg) = value;
  return ReferenceAction(plan, data) == kRetAllow;
}

// `value` changed so that the condition holds, as little as it takes.
uint64_t Forced(const Condition& condition, uint64_t value) {
  if (Holds(condition, value)) return value;
  if (condition.op == Condition::Op::kMasked) {
    return condition.negated ? value ^ (uint64_t{1} << std::countr_zero(condition.mask))
                             : (value & ~condition.mask) | condition.value;
  }
  return condition.negated ? condition.to + 1 : condition.from;
}

SeccompData HarmlessCall(const CallPlan& plan, uint32_t nr, const Conjunction& conjunction) {
  const std::string_view call = SyscallName(plan.arch, nr);
  const SyscallArgList args = SyscallArgs(plan.arch, call);
  SeccompData data{nr, AuditArch(plan.arch), 0, {}};
  for (unsigned i = 0; i < args.size(); ++i) {
    const auto value = Satisfying(conjunction, i, Harmless(call, args[i]));
    if (!value) throw std::runtime_error("nothing satisfies " + std::string(call));
    data.args.at(i) = *value;
  }
  if (call == "clone") {
    // A child that shares memory would have to be given a stack: CLONE_PIDFD and
    // CLONE_PARENT_SETTID with one place for both are EINVAL. One that doesn't exits at once.
    constexpr uint64_t kCloneVm = 0x100;
    constexpr uint64_t kPidfdAndParent = 0x101000;
    constexpr uint64_t kSigchld = 17;
    data.args[0] |= (data.args[0] & kCloneVm) != 0 ? kPidfdAndParent : kSigchld;
  }
  if (ReferenceAction(plan, data) != kRetAllow) {
    throw std::runtime_error("no form of " + std::string(call) + " that is allowed");
  }
  return data;
}

// Bits of the register that the table says the kernel doesn't read.
uint64_t Unread(ArgType type) {
  const unsigned bits = ArgBits(type);
  return type == ArgType::kPointer || bits == 64 ? 0 : UINT64_MAX << bits;
}

void AddAlike(const CallPlan& plan, const std::set<unsigned>& tested, CallForm& form) {
  const SyscallArgList args = SyscallArgs(plan.arch, SyscallName(plan.arch, form.base.nr));
  for (unsigned i = 0; i < args.size(); ++i) {
    const uint64_t unread = Unread(args[i].type);
    std::vector<uint64_t> garbage{unread};
    for (unsigned bit = 0; tested.contains(i) && bit < 64; ++bit) {
      garbage.push_back(unread & (uint64_t{1} << bit));
    }
    for (const uint64_t bits : garbage) {
      if (bits == 0) continue;
      form.alike.push_back(form.base);
      form.alike.back().args.at(i) |= bits;
    }
  }
}

void AddRefused(const CallPlan& plan, const Conjunction& conditions, CallForm& form) {
  std::set<std::array<uint64_t, 6>> seen;
  const auto add = [&](unsigned arg, uint64_t value) {
    SeccompData data = form.base;
    data.args.at(arg) = value;
    if (ReferenceAction(plan, data) == kRetAllow || !seen.insert(data.args).second) return;
    form.refused.push_back(data);
  };
  for (const Condition& condition : conditions) {
    const uint64_t value = form.base.args.at(condition.arg);
    for (unsigned bit = 0; bit < 64; ++bit) add(condition.arg, value ^ (uint64_t{1} << bit));
    if (condition.op == Condition::Op::kMasked) {
      add(condition.arg, (value & ~condition.mask) | condition.value);
    } else {
      for (const uint64_t edge : {condition.from, condition.to}) {
        add(condition.arg, edge - 1);
        add(condition.arg, edge + 1);
      }
    }
  }
}

}  // namespace

std::optional<uint64_t> Satisfying(const Conjunction& conjunction, unsigned arg, uint64_t start) {
  uint64_t value = start;
  const auto all_hold = [&] {
    return std::ranges::all_of(conjunction, [&](const Condition& condition) {
      return condition.arg != arg || Holds(condition, value);
    });
  };
  for (size_t round = 0; round <= conjunction.size(); ++round) {
    if (all_hold()) return value;
    for (const Condition& condition : conjunction) {
      if (condition.arg == arg) value = Forced(condition, value);
    }
  }
  return std::nullopt;
}

std::vector<CallForm> FormsOf(const CallPlan& plan) {
  std::vector<CallForm> forms;
  for (const CallRule& rule : plan.rules) {
    for (const Conjunction& allow : rule.allow) {
      Conjunction conditions = allow;
      for (const Conjunction& deny : rule.deny) {
        conditions.insert(conditions.end(), deny.begin(), deny.end());
      }
      std::set<unsigned> tested;
      for (const Condition& condition : conditions) tested.insert(condition.arg);
      CallForm form{HarmlessCall(plan, rule.nr, allow), {}, {}};
      AddAlike(plan, tested, form);
      AddRefused(plan, conditions, form);
      forms.push_back(std::move(form));
    }
  }
  return forms;
}

}  // namespace bulkhead::testing
