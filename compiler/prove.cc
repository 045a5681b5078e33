// SPDX-License-Identifier: Apache-2.0
#include "compiler/prove.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "compiler/bdd.h"

namespace bulkhead {
namespace {

using Set = Bdd::Node;  // of calls

constexpr uint32_t kX32Bit = 0x40000000U;  // __X32_SYSCALL_BIT, asm/unistd.h
constexpr size_t kMaxNodes = size_t{1} << 20;
constexpr uint32_t kInstructionPointer = 8;  // offset in SeccompData

// A value within the seccomp data, from the word at `offset` on; bits outside `live` read as 0.
struct Value {
  uint32_t offset = 0;
  uint64_t live = 0;
};

// Sets of calls, as sets of the bits of their seccomp data. The order of the variables keeps the
// diagrams small: first what divides most, and of each word the highest bit first.
class CallSets {
 public:
  Bdd& bdd() { return bdd_; }

  // (value & mask) == wanted
  Set Masked(const Value& value, uint64_t mask, uint64_t wanted) {
    const uint64_t bits = value.live & mask;
    if ((wanted & ~bits) != 0) return Bdd::kNothing;
    Set set = Bdd::kAll;
    for (unsigned bit = 0; bit < 64; ++bit) {
      if ((bits >> bit & 1) == 0) continue;
      const bool one = (wanted >> bit & 1) != 0;
      set = bdd_.Choose(Variable(value.offset, bit), one ? Bdd::kNothing : set,
                        one ? set : Bdd::kNothing);
    }
    return set;
  }

  // value >= limit
  Set AtLeast(const Value& value, uint64_t limit) {
    Set set = Bdd::kAll;  // by the bits so far, of which later ones weigh more
    for (unsigned bit = 0; bit < 64; ++bit) {
      const bool one = (limit >> bit & 1) != 0;
      const Set low = one ? Bdd::kNothing : set;
      if ((value.live >> bit & 1) == 0) {
        set = low;
      } else {
        set = bdd_.Choose(Variable(value.offset, bit), low, one ? set : Bdd::kAll);
      }
    }
    return set;
  }

  Set Above(const Value& value, uint64_t limit) {
    return limit == UINT64_MAX ? Bdd::kNothing : AtLeast(value, limit + 1);
  }

  SeccompData AnyMember(Set set) const {
    SeccompData data;
    for (const uint32_t variable : bdd_.AnyMember(set)) {
      const uint32_t offset = kOrder[variable / 32];
      const uint32_t bit = uint32_t{1} << (31 - variable % 32);
      SetBit(data, offset, bit);
    }
    return data;
  }

 private:
  static constexpr uint32_t kOrder[] = {
      kOffsetArch,      kOffsetNr,       OffsetArgHigh(0),        OffsetArgLow(0),
      OffsetArgHigh(1), OffsetArgLow(1), OffsetArgHigh(2),        OffsetArgLow(2),
      OffsetArgHigh(3), OffsetArgLow(3), OffsetArgHigh(4),        OffsetArgLow(4),
      OffsetArgHigh(5), OffsetArgLow(5), kInstructionPointer + 4, kInstructionPointer};

  static uint32_t Variable(uint32_t offset, unsigned bit) {
    const uint32_t word = bit < 32 ? offset : offset + 4;
    const auto place = std::ranges::find(kOrder, word) - std::begin(kOrder);
    return static_cast<uint32_t>(place) * 32 + (31 - bit % 32);
  }

  static void SetBit(SeccompData& data, uint32_t offset, uint32_t bit) {
    const uint64_t shifted = offset % 8 == 0 ? bit : uint64_t{bit} << 32;
    if (offset == kOffsetNr) {
      data.nr |= bit;
    } else if (offset == kOffsetArch) {
      data.arch |= bit;
    } else if (offset < OffsetArgLow(0)) {
      data.instruction_pointer |= shifted;
    } else {
      data.args[(offset - OffsetArgLow(0)) / 8] |= shifted;
    }
  }

  Bdd bdd_{kMaxNodes};
};

constexpr Value kNumber{kOffsetNr, UINT32_MAX};
constexpr Value kArchitecture{kOffsetArch, UINT32_MAX};

// What the plan says, as the set of calls of each action.
class PlanSets {
 public:
  PlanSets(const CallPlan& plan, CallSets& sets) : sets_(sets), bdd_(sets.bdd()) {
    Set native = sets_.Masked(kArchitecture, UINT32_MAX, AuditArch(plan.arch));
    if (plan.arch == Arch::kX86_64) {
      native = bdd_.And(native, bdd_.Not(sets_.AtLeast(kNumber, kX32Bit)));
    }
    Set allowed = Bdd::kNothing;
    for (const CallRule& rule : plan.rules) allowed = bdd_.Or(allowed, Allowed(rule));
    Set absent = Bdd::kNothing;
    for (const uint32_t nr : plan.absent) absent = bdd_.Or(absent, Number(nr));
    const Set refused = bdd_.And(native, bdd_.Not(allowed));
    Add(kRetKillProcess, bdd_.Not(native));
    Add(kRetAllow, bdd_.And(native, allowed));
    Add(plan.absent_action, bdd_.And(refused, absent));
    Add(plan.otherwise, bdd_.And(refused, bdd_.Not(absent)));
  }

  Set Of(uint32_t action) const {
    const auto found = by_action_.find(action);
    return found == by_action_.end() ? Bdd::kNothing : found->second;
  }

  // The action that the plan has for some of `calls`, and the set of these.
  std::pair<uint32_t, Set> AnyAction(Set calls) const {
    for (const auto& [action, set] : by_action_) {
      const Set both = bdd_.And(calls, set);
      if (both != Bdd::kNothing) return {action, both};
    }
    return {kRetKillProcess, Bdd::kNothing};
  }

 private:
  void Add(uint32_t action, Set set) {
    Set& all = by_action_[action];  // kNothing at first
    all = bdd_.Or(all, set);
  }

  Set Number(uint32_t nr) { return sets_.Masked(kNumber, UINT32_MAX, nr); }

  Set Holds(const Condition& condition) {
    const uint64_t live = condition.bits == 64 ? UINT64_MAX : (uint64_t{1} << condition.bits) - 1;
    const Value value{OffsetArgLow(condition.arg), live};
    const Set holds = condition.op == Condition::Op::kMasked
                          ? sets_.Masked(value, condition.mask, condition.value)
                          : bdd_.And(sets_.AtLeast(value, condition.from),
                                     bdd_.Not(sets_.Above(value, condition.to)));
    return condition.negated ? bdd_.Not(holds) : holds;
  }

  Set AnyHolds(const std::vector<Conjunction>& conjunctions) {
    Set any = Bdd::kNothing;
    for (const Conjunction& conjunction : conjunctions) {
      Set all = Bdd::kAll;
      for (const Condition& condition : conjunction) all = bdd_.And(all, Holds(condition));
      any = bdd_.Or(any, all);
    }
    return any;
  }

  Set Allowed(const CallRule& rule) {
    const Set arguments = bdd_.And(AnyHolds(rule.allow), bdd_.Not(AnyHolds(rule.deny)));
    return bdd_.And(Number(rule.nr), arguments);
  }

  CallSets& sets_;
  Bdd& bdd_;
  std::map<uint32_t, Set> by_action_;
};

// What the accumulator holds: a word of the data cut to a mask; mask 0: the constant 0, as at the
// start.
struct Accumulator {
  uint32_t offset = 0;
  uint32_t mask = 0;
  bool operator<(const Accumulator& other) const {
    return std::tie(offset, mask) < std::tie(other.offset, other.mask);
  }
};

// The calls that come to an instruction with the same in the accumulator.
struct Arrivals {
  Set calls = Bdd::kNothing;
  size_t paths = 0;
};

size_t SaturatingSum(size_t a, size_t b) {
  return a > std::numeric_limits<size_t>::max() - b ? std::numeric_limits<size_t>::max() : a + b;
}

// Follows all calls through the program at once. Jumps go forward only, so that what comes to an
// instruction is complete when its turn is there; no path is left out and none is walked twice.
class Walk {
 public:
  Walk(const Filter& filter, CallSets& sets, const PlanSets& plan)
      : filter_(filter), sets_(sets), bdd_(sets.bdd()), plan_(plan), arrivals_(filter.size()) {}

  std::optional<Disproof> Run() {
    arrivals_[0][{}] = {Bdd::kAll, 1};
    for (size_t i = 0; i < filter_.size(); ++i) {
      for (const auto& [accumulator, arrivals] : arrivals_[i]) {
        if (filter_[i].code == kReturn) {
          if (auto disproof = CheckReturn(filter_[i].k, arrivals)) return disproof;
        } else {
          Step(i, accumulator, arrivals);
        }
        if (bdd_.Exhausted()) return std::nullopt;
      }
    }
    return std::nullopt;
  }

  size_t paths() const { return paths_; }

 private:
  std::optional<Disproof> CheckReturn(uint32_t action, const Arrivals& arrivals) {
    paths_ = SaturatingSum(paths_, arrivals.paths);
    const Set wrong = bdd_.And(arrivals.calls, bdd_.Not(plan_.Of(action)));
    if (wrong == Bdd::kNothing || bdd_.Exhausted()) return std::nullopt;
    const auto [expected, calls] = plan_.AnyAction(wrong);
    if (bdd_.Exhausted()) return std::nullopt;
    return Disproof{
        fmt::format("the filter answers {:#x} where the plan says {:#x}", action, expected),
        sets_.AnyMember(calls), expected, action};
  }

  void Step(size_t i, Accumulator accumulator, const Arrivals& arrivals) {
    const Instruction& instruction = filter_[i];
    switch (instruction.code) {
      case kLoad:
        return Arrive(i + 1, {instruction.k, UINT32_MAX}, arrivals);
      case kAndConst:
        accumulator.mask &= instruction.k;
        if (accumulator.mask == 0) accumulator.offset = 0;
        return Arrive(i + 1, accumulator, arrivals);
      case kJumpAlways:
        return Arrive(i + 1 + instruction.k, accumulator, arrivals);
      default:
        break;
    }
    const Set taken = Taken(instruction, {accumulator.offset, accumulator.mask});
    Arrive(i + 1 + instruction.jt, accumulator, {bdd_.And(arrivals.calls, taken), arrivals.paths});
    Arrive(i + 1 + instruction.jf, accumulator,
           {bdd_.And(arrivals.calls, bdd_.Not(taken)), arrivals.paths});
  }

  // The calls for which the comparison holds.
  Set Taken(const Instruction& instruction, const Value& value) {
    switch (instruction.code) {
      case kJumpEqual:
        return sets_.Masked(value, UINT32_MAX, instruction.k);
      case kJumpGreater:
        return sets_.Above(value, instruction.k);
      case kJumpGreaterEqual:
        return sets_.AtLeast(value, instruction.k);
      default:  // kJumpSet: FilterDefect knows no other
        return bdd_.Not(sets_.Masked(value, instruction.k, 0));
    }
  }

  void Arrive(size_t target, const Accumulator& accumulator, const Arrivals& more) {
    if (more.calls == Bdd::kNothing) return;
    Arrivals& all = arrivals_[target][accumulator];
    all.calls = bdd_.Or(all.calls, more.calls);
    all.paths = SaturatingSum(all.paths, more.paths);
  }

  const Filter& filter_;
  CallSets& sets_;
  Bdd& bdd_;
  const PlanSets& plan_;
  std::vector<std::map<Accumulator, Arrivals>> arrivals_;
  size_t paths_ = 0;
};

bool IsCondition(const Condition& condition) {
  return condition.arg < 6 &&
         (condition.bits == 16 || condition.bits == 32 || condition.bits == 64);
}

bool HasConditionsOnly(const CallPlan& plan) {
  return std::ranges::all_of(plan.rules, [](const CallRule& rule) {
    const auto good = [](const Conjunction& all) { return std::ranges::all_of(all, IsCondition); };
    return std::ranges::all_of(rule.allow, good) && std::ranges::all_of(rule.deny, good);
  });
}

}  // namespace

std::optional<Disproof> Prove(const CallPlan& plan, const Filter& filter, size_t* paths) {
  if (auto defect = FilterDefect(filter)) return Disproof{*defect, {}, 0, 0};
  if (!HasConditionsOnly(plan)) return Disproof{"the plan tests what no call has", {}, 0, 0};
  CallSets sets;
  const PlanSets expected(plan, sets);
  Walk walk(filter, sets, expected);
  auto disproof = walk.Run();
  if (sets.bdd().Exhausted()) {
    return Disproof{fmt::format("the proof needs more than {} nodes", kMaxNodes), {}, 0, 0};
  }
  if (paths != nullptr) *paths = walk.paths();
  return disproof;
}

}  // namespace bulkhead
