// SPDX-License-Identifier: Apache-2.0
#include "compiler/prove.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "compiler/call_boxes.h"

namespace bulkhead {
namespace {

using Set = CallSets::Set;

constexpr uint32_t kX32Bit = 0x40000000U;  // __X32_SYSCALL_BIT, asm/unistd.h
constexpr size_t kMaxNodes = size_t{1} << 20;
constexpr size_t kMaxKept = size_t{1} << 17;   // nodes of earlier proofs
constexpr size_t kMaxSteps = size_t{1} << 20;  // of one box by one instruction

// The calls on which the filter is wrong, and what the plan says of them.
struct Wrong {
  Box calls;
  uint32_t expected = 0;
};

// What the plan says, number by number.
class Expected {
 public:
  Expected(const CallPlan& plan, CallSets& sets)
      : plan_(plan), sets_(sets), bdd_(sets.bdd()), native_(AuditArch(plan.arch)) {
    if (plan.arch == Arch::kX86_64) most_ = kX32Bit - 1;
    for (const CallRule& rule : plan.rules) {
      const Set allowed = bdd_.And(sets_.AnyHolds(rule.allow), Bdd::Not(sets_.AnyHolds(rule.deny)));
      Listed& listed = listed_[rule.nr];
      listed.allowed = bdd_.Or(listed.allowed, allowed);
      listed.refusal = plan.otherwise;
    }
    for (const uint32_t nr : plan.absent) listed_[nr].refusal = plan.absent_action;
    for (const uint32_t nr : plan.skipped) listed_[nr].refusal = kRetErrno;
    if (plan.traced) listed_[*plan.traced].refusal = kRetTrace;
  }

  // Some of the calls in the box to which the plan says something else than `action`.
  std::optional<Wrong> FindWrong(const Box& box, uint32_t action) {
    return box.mixed ? FindMixed(box.rest, action) : FindPlain(box, action);
  }

 private:
  struct Listed {
    Set allowed = Bdd::kNothing;  // by the arguments alone
    uint32_t refusal = 0;
  };

  std::optional<Wrong> FindPlain(const Box& box, uint32_t action) {
    const auto [native, foreign] = DivideByRange(box.archs, native_, native_);
    if (action != kRetKillProcess && !foreign.empty()) {
      return Wrong{{foreign, box.numbers, box.rest}, kRetKillProcess};
    }
    if (native.empty()) return std::nullopt;
    auto [numbers, beyond] = DivideByRange(box.numbers, 0, most_);
    if (action != kRetKillProcess && !beyond.empty()) {
      return Wrong{{native, beyond, box.rest}, kRetKillProcess};
    }
    Ranges unlisted;
    for (const Range& range : numbers) {
      uint64_t from = range.first;
      for (auto it = listed_.lower_bound(range.first);
           it != listed_.end() && it->first <= range.last; ++it) {
        if (auto wrong =
                FindListed({native, {{it->first, it->first}}, box.rest}, it->second, action)) {
          return wrong;
        }
        if (from < it->first) Append(unlisted, {static_cast<uint32_t>(from), it->first - 1});
        from = uint64_t{it->first} + 1;
      }
      if (from <= range.last) Append(unlisted, {static_cast<uint32_t>(from), range.last});
    }
    if (unlisted.empty() || action == plan_.otherwise) return std::nullopt;
    return Wrong{{native, unlisted, box.rest}, plan_.otherwise};
  }

  // The box has the one number.
  std::optional<Wrong> FindListed(Box box, const Listed& listed, uint32_t action) {
    const Set all = box.rest;
    box.rest = action == kRetAllow ? Bdd::kNothing : bdd_.And(all, listed.allowed);
    if (box.rest != Bdd::kNothing) return Wrong{std::move(box), kRetAllow};
    box.rest = action == listed.refusal ? Bdd::kNothing : bdd_.And(all, Bdd::Not(listed.allowed));
    if (box.rest != Bdd::kNothing) return Wrong{std::move(box), listed.refusal};
    return std::nullopt;
  }

  std::optional<Wrong> FindMixed(Set calls, uint32_t action) {
    Set native = bdd_.And(calls, sets_.In(kOffsetArch, {{native_, native_}}));
    native = bdd_.And(native, sets_.In(kOffsetNr, {{0, most_}}));
    const Set foreign = bdd_.And(calls, Bdd::Not(native));
    if (action != kRetKillProcess && foreign != Bdd::kNothing) {
      return Wrong{{{}, {}, foreign, true}, kRetKillProcess};
    }
    for (const auto& [nr, listed] : listed_) {
      const Set number = sets_.In(kOffsetNr, {{nr, nr}});
      Box box{{}, {}, bdd_.And(native, number), true};
      if (box.Empty()) continue;
      if (auto wrong = FindListed(std::move(box), listed, action)) return wrong;
      native = bdd_.And(native, Bdd::Not(number));
    }
    if (native == Bdd::kNothing || action == plan_.otherwise) return std::nullopt;
    return Wrong{{{}, {}, native, true}, plan_.otherwise};
  }

  const CallPlan& plan_;
  CallSets& sets_;
  Bdd& bdd_;
  uint32_t native_;
  uint32_t most_ = UINT32_MAX;  // of the numbers that are not killed
  std::map<uint32_t, Listed> listed_;
};

// What the accumulator holds: a word of the data cut to a mask; mask 0: the constant 0, as at the
// start.
struct Accumulator {
  uint32_t offset = 0;
  uint32_t mask = 0;
  auto operator<=>(const Accumulator&) const = default;
};

struct Point {  // before an instruction
  size_t index = 0;
  Accumulator accumulator;
  auto operator<=>(const Point&) const = default;
};

struct Arrivals {
  std::vector<Box> boxes;
  size_t paths = 0;
};

size_t SaturatingSum(size_t a, size_t b) {
  return a > std::numeric_limits<size_t>::max() - b ? std::numeric_limits<size_t>::max() : a + b;
}

struct Sides {
  Box taken;
  Box other;
};

// A conditional jump on a known accumulator. Ranges of architectures and numbers are divided as
// ranges, all else as diagrams.
class Comparison {
 public:
  Comparison(const Instruction& instruction, const Accumulator& accumulator, CallSets& sets)
      : code_(instruction.code), k_(instruction.k), accumulator_(accumulator), sets_(sets) {}

  Sides Divide(const Box& box) {
    if (!box.mixed && accumulator_.mask != 0) {
      if (accumulator_.offset == kOffsetArch) return DivideWord(box, &Box::archs);
      if (accumulator_.offset == kOffsetNr) return DivideWord(box, &Box::numbers);
    }
    return DivideRest(box);
  }

 private:
  Sides DivideWord(const Box& box, Ranges Box::*word) {
    auto division = DivideRanges(box.*word);
    if (!division) return DivideRest(Mixed(box, sets_));
    Sides sides{box, box};
    sides.taken.*word = std::move(division->inside);
    sides.other.*word = std::move(division->outside);
    return sides;
  }

  std::optional<Division> DivideRanges(const Ranges& ranges) const {
    const uint32_t mask = accumulator_.mask;
    const bool whole = mask == UINT32_MAX;
    switch (code_) {
      case kJumpEqual:
        return whole ? DivideByRange(ranges, k_, k_)
                     : DivideByMask(ranges, mask, MaskTest::kEqual, k_);
      case kJumpGreater:
        if (whole && k_ == UINT32_MAX) return Division{{}, ranges};
        return whole ? DivideByRange(ranges, k_ + 1, UINT32_MAX)
                     : DivideByMask(ranges, mask, MaskTest::kAbove, k_);
      case kJumpGreaterEqual:
        return whole ? DivideByRange(ranges, k_, UINT32_MAX)
                     : DivideByMask(ranges, mask, MaskTest::kAtLeast, k_);
      default:  // kJumpSet: FilterDefect knows no other
        return DivideByMask(ranges, mask & k_, MaskTest::kAbove, 0);
    }
  }

  Sides DivideRest(const Box& box) {
    const Set taken = Taken({accumulator_.offset, accumulator_.mask});
    Sides sides{box, box};
    sides.taken.rest = sets_.bdd().And(box.rest, taken);
    sides.other.rest = sets_.bdd().And(box.rest, Bdd::Not(taken));
    return sides;
  }

  Set Taken(const Value& value) {
    switch (code_) {
      case kJumpEqual:
        return sets_.Masked(value, UINT32_MAX, k_);
      case kJumpGreater:
        return sets_.Above(value, k_);
      case kJumpGreaterEqual:
        return sets_.AtLeast(value, k_);
      default:
        return Bdd::Not(sets_.Masked(value, k_, 0));
    }
  }

  uint16_t code_;
  uint32_t k_;
  Accumulator accumulator_;
  CallSets& sets_;
};

// Follows all calls through the program at once. Jumps go forward only, so that what comes to an
// instruction is complete when its turn is there; no path is left out and none is walked twice.
class Walk {
 public:
  Walk(const Filter& filter, CallSets& sets, Expected& expected)
      : filter_(filter), sets_(sets), expected_(expected) {}

  // Not proved either when TooLong or the diagrams are exhausted.
  std::optional<Disproof> Run() {
    Arrive({0, {}}, {{{{}}, {{}}, Bdd::kAll}}, 1);
    while (!pending_.empty() && !TooLong() && !sets_.bdd().Exhausted()) {
      auto [point, arrivals] = std::move(*pending_.begin());
      pending_.erase(pending_.begin());
      if (filter_[point.index].code == kReturn) {
        steps_ += arrivals.boxes.size();
        paths_ = SaturatingSum(paths_, arrivals.paths);
        if (auto disproof = CheckReturn(filter_[point.index].k, arrivals.boxes)) return disproof;
        continue;
      }
      const std::vector<Box> boxes = Gather(std::move(arrivals.boxes), sets_);
      steps_ += boxes.size();
      Step(point, boxes, arrivals.paths);
    }
    return std::nullopt;
  }

  bool TooLong() const { return steps_ > kMaxSteps; }
  size_t paths() const { return paths_; }

 private:
  std::optional<Disproof> CheckReturn(uint32_t action, const std::vector<Box>& boxes) {
    for (const Box& box : boxes) {
      const auto wrong = expected_.FindWrong(box, action);
      if (sets_.bdd().Exhausted()) return std::nullopt;
      if (!wrong) continue;
      return Disproof{fmt::format("the filter answers {:#x} where the plan says {:#x}", action,
                                  wrong->expected),
                      AnyMember(wrong->calls), wrong->expected, action};
    }
    return std::nullopt;
  }

  SeccompData AnyMember(const Box& box) const {
    SeccompData data = sets_.AnyMember(box.rest);
    if (box.mixed) return data;
    data.arch = box.archs.front().first;
    data.nr = box.numbers.front().first;
    return data;
  }

  void Step(Point point, const std::vector<Box>& boxes, size_t paths) {
    const Instruction& instruction = filter_[point.index];
    size_t& next = point.index;
    Accumulator& accumulator = point.accumulator;
    switch (instruction.code) {
      case kLoad:
        accumulator = {instruction.k, UINT32_MAX};
        ++next;
        return Arrive(point, boxes, paths);
      case kAndConst:
        accumulator.mask &= instruction.k;
        if (accumulator.mask == 0) accumulator.offset = 0;
        ++next;
        return Arrive(point, boxes, paths);
      case kJumpAlways:
        next += 1 + instruction.k;
        return Arrive(point, boxes, paths);
      default:
        return Branch(point, boxes, paths);
    }
  }

  void Branch(const Point& point, const std::vector<Box>& boxes, size_t paths) {
    const Instruction& instruction = filter_[point.index];
    Comparison comparison(instruction, point.accumulator, sets_);
    std::vector<Box> taken;
    std::vector<Box> other;
    for (const Box& box : boxes) {
      Sides sides = comparison.Divide(box);
      if (!sides.taken.Empty()) taken.push_back(std::move(sides.taken));
      if (!sides.other.Empty()) other.push_back(std::move(sides.other));
    }
    Arrive({point.index + 1 + instruction.jt, point.accumulator}, std::move(taken), paths);
    Arrive({point.index + 1 + instruction.jf, point.accumulator}, std::move(other), paths);
  }

  void Arrive(const Point& point, std::vector<Box> boxes, size_t paths) {
    if (boxes.empty()) return;
    Arrivals& all = pending_[point];
    std::ranges::move(boxes, std::back_inserter(all.boxes));
    all.paths = SaturatingSum(all.paths, paths);
  }

  const Filter& filter_;
  CallSets& sets_;
  Expected& expected_;
  std::map<Point, Arrivals> pending_;
  size_t paths_ = 0;
  size_t steps_ = 0;
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

Prover::Prover() : sets_(kMaxNodes) {}

std::optional<Disproof> Prover::Prove(const CallPlan& plan, const Filter& filter, size_t* paths) {
  if (auto defect = FilterDefect(filter)) return Disproof{*defect, {}, 0, 0};
  if (!HasConditionsOnly(plan)) return Disproof{"the plan tests what no call has", {}, 0, 0};
  sets_.bdd().Begin(kMaxKept);
  Expected expected(plan, sets_);
  Walk walk(filter, sets_, expected);
  auto disproof = walk.Run();
  if (sets_.bdd().Exhausted()) {
    return Disproof{fmt::format("the proof needs more than {} nodes", kMaxNodes), {}, 0, 0};
  }
  if (walk.TooLong()) {
    return Disproof{fmt::format("the proof needs more than {} steps", kMaxSteps), {}, 0, 0};
  }
  if (paths != nullptr) *paths = walk.paths();
  return disproof;
}

std::optional<Disproof> Prove(const CallPlan& plan, const Filter& filter, size_t* paths) {
  return Prover().Prove(plan, filter, paths);
}

}  // namespace bulkhead
