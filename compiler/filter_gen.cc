// SPDX-License-Identifier: Apache-2.0
#include "compiler/filter_gen.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "compiler/filter_writer.h"

namespace bulkhead {
namespace {

constexpr uint32_t kX32Bit = 0x40000000U;  // __X32_SYSCALL_BIT, asm/unistd.h

// What a number comes to: an action, or conditions to test.
struct Outcome {
  uint32_t action = kRetKillProcess;  // without a rule; with one: when it does not allow
  const CallRule* rule = nullptr;

  bool operator==(const Outcome& other) const {
    if (action != other.action || (rule == nullptr) != (other.rule == nullptr)) return false;
    return rule == nullptr || (rule->allow == other.rule->allow && rule->deny == other.rule->deny);
  }
};

struct Range {  // up to the first number of the next one
  uint32_t first = 0;
  Outcome outcome;
};

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
  // Appends the numbers from `first` on; equal neighbours become one.
  void Start(uint32_t first, const Outcome& outcome) {
    if (!ranges_.empty() && ranges_.back().first == first) ranges_.pop_back();
    if (ranges_.empty() || !(ranges_.back().outcome == outcome)) {
      ranges_.push_back({first, outcome});
    }
  }

  std::vector<Range> Take() { return std::move(ranges_); }

 private:
  std::vector<Range> ranges_;
};

// All numbers that a program of the architecture may use, in order.
std::vector<Range> RangesOf(const CallPlan& plan) {
  RangeList list;
  list.Start(0, {plan.otherwise, nullptr});
  auto rule = plan.rules.begin();
  auto absent = plan.absent.begin();
  while (rule != plan.rules.end() || absent != plan.absent.end()) {
    const bool has_rule =
        rule != plan.rules.end() && (absent == plan.absent.end() || rule->nr <= *absent);
    const uint32_t nr = has_rule ? rule->nr : *absent;
    const bool is_absent = absent != plan.absent.end() && *absent == nr;
    const uint32_t refused = is_absent ? plan.absent_action : plan.otherwise;
    list.Start(nr, has_rule ? OutcomeOf(*rule, refused) : Outcome{refused, nullptr});
    if (nr != UINT32_MAX) list.Start(nr + 1, {plan.otherwise, nullptr});
    if (has_rule) ++rule;
    if (is_absent) ++absent;
  }
  return list.Take();
}

// Writes tests of argument words. Everything is written backwards: a test is given the places where
// it goes on, and gives the place where it starts.
class TestWriter {
 public:
  explicit TestWriter(FilterWriter& writer) : writer_(writer) {}

  Entry Write(const Condition& condition, const Entry& holds, const Entry& fails) {
    const Entry& yes = condition.negated ? fails : holds;
    const Entry& no = condition.negated ? holds : fails;
    return condition.op == Condition::Op::kMasked ? Masked(condition, yes, no)
                                                  : InRange(condition, yes, no);
  }

  Entry WriteAll(const Conjunction& conjunction, const Entry& hold, const Entry& fail) {
    Entry next = hold;
    for (auto it = conjunction.rbegin(); it != conjunction.rend(); ++it) {
      next = Write(*it, next, fail);
    }
    return next;
  }

 private:
  static uint32_t Low(uint64_t value) { return static_cast<uint32_t>(value); }
  static uint32_t High(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

  Entry Masked(const Condition& condition, const Entry& yes, const Entry& no) {
    const Entry low =
        MaskedWord(OffsetArgLow(condition.arg), Low(condition.mask), Low(condition.value), yes, no);
    return MaskedWord(OffsetArgHigh(condition.arg), High(condition.mask), High(condition.value),
                      low, no);
  }

  Entry MaskedWord(uint32_t word, uint32_t mask, uint32_t value, const Entry& yes,
                   const Entry& no) {
    if ((value & ~mask) != 0) return no;
    if (mask == 0) return yes;
    const bool one_bit = (mask & (mask - 1)) == 0;
    if (mask != UINT32_MAX && (value == 0 || (one_bit && value == mask))) {
      // Without a copy of the masked word the next test of it needs no load.
      const Held held{word, UINT32_MAX};
      const Entry& set = value == 0 ? no : yes;
      const Entry& clear = value == 0 ? yes : no;
      return writer_.Load(held, writer_.Branch(kJumpSet, mask, set.For(held), clear.For(held)));
    }
    const Held held{word, mask};
    return writer_.Load(held, writer_.Branch(kJumpEqual, value, yes.For(held), no.For(held)));
  }

  Entry InRange(const Condition& condition, const Entry& yes, const Entry& no) {
    if (condition.from > condition.to) return no;
    const uint32_t low_word = OffsetArgLow(condition.arg);
    const uint32_t from = Low(condition.from);
    const uint32_t to = Low(condition.to);
    if (condition.bits == 16) return InWord({low_word, 0xffff}, 0xffff, from, to, yes, no);
    const Held low{low_word, UINT32_MAX};
    if (condition.bits == 32) return InWord(low, UINT32_MAX, from, to, yes, no);
    return InTwoWords({OffsetArgHigh(condition.arg), UINT32_MAX}, low, condition, yes, no);
  }

  // from <= word <= to, where nothing is above `max`.
  Entry InWord(const Held& held, uint32_t max, uint32_t from, uint32_t to, const Entry& yes,
               const Entry& no) {
    if (from == 0 && to == max) return yes;
    const Label in = yes.For(held);
    const Label out = no.For(held);
    if (from == to) return writer_.Load(held, writer_.Branch(kJumpEqual, from, in, out));
    Label start = to == max ? in : writer_.Branch(kJumpGreater, to, out, in);
    if (from != 0) start = writer_.Branch(kJumpGreaterEqual, from, start, out);
    return writer_.Load(held, start);
  }

  Entry InTwoWords(const Held& high, const Held& low, const Condition& condition, const Entry& yes,
                   const Entry& no) {
    const uint32_t from = High(condition.from);
    const uint32_t to = High(condition.to);
    const uint32_t low_from = Low(condition.from);
    const uint32_t low_to = Low(condition.to);
    if (from == to) {
      const Entry rest = InWord(low, UINT32_MAX, low_from, low_to, yes, no);
      return MaskedWord(high.word, UINT32_MAX, from, rest, no);
    }
    // Between the two high words any low word is inside; at each of them it decides.
    const Entry at_from = InWord(low, UINT32_MAX, low_from, UINT32_MAX, yes, no);
    const Entry at_to = InWord(low, UINT32_MAX, 0, low_to, yes, no);
    const Label out = no.For(high);
    Label start = writer_.Branch(kJumpEqual, from, at_from.For(high), yes.For(high));
    if (from != 0) start = writer_.Branch(kJumpGreaterEqual, from, start, out);
    start = writer_.Branch(kJumpEqual, to, at_to.For(high), start);
    if (to != UINT32_MAX) start = writer_.Branch(kJumpGreater, to, out, start);
    return writer_.Load(high, start);
  }

  FilterWriter& writer_;
};

class Generator {
 public:
  explicit Generator(const CallPlan& plan) : plan_(plan), ranges_(RangesOf(plan)) {}

  Filter Generate() {
    const Label kill = writer_.Return(kRetKillProcess);
    Label start = Tree(0, ranges_.size());
    if (plan_.arch == Arch::kX86_64) {
      start = writer_.Branch(kJumpGreaterEqual, kX32Bit, kill, start);
    }
    start = writer_.Load({kOffsetNr, UINT32_MAX}, start).cold;
    start = writer_.Branch(kJumpEqual, AuditArch(plan_.arch), start, kill);
    writer_.Load({kOffsetArch, UINT32_MAX}, start);
    return writer_.Finish();
  }

 private:
  // Decides among the ranges begin to end, with the number in the accumulator.
  Label Tree(size_t begin, size_t end) {
    if (end - begin == 1) return Leaf(ranges_[begin].outcome);
    if (IsOneAmongOthers(begin, end)) {
      const Label others = Leaf(ranges_[begin].outcome);
      const Label one = Leaf(ranges_[begin + 1].outcome);
      return writer_.Branch(kJumpEqual, ranges_[begin + 1].first, one, others);
    }
    const size_t middle = begin + (end - begin) / 2;
    const Label above = Tree(middle, end);
    const Label below = Tree(begin, middle);
    return writer_.Branch(kJumpGreaterEqual, ranges_[middle].first, above, below);
  }

  bool IsOneAmongOthers(size_t begin, size_t end) const {
    return end - begin == 3 && ranges_[begin].outcome == ranges_[begin + 2].outcome &&
           ranges_[begin + 2].first - ranges_[begin + 1].first == 1;
  }

  Label Leaf(const Outcome& outcome) {
    if (outcome.rule == nullptr) return writer_.Return(outcome.action);
    for (const auto& [written, label] : written_) {
      if (written == outcome) return label;
    }
    const Label label = Rule(outcome);
    written_.emplace_back(outcome, label);
    return label;
  }

  // Deny first, then allow, else refuse.
  Label Rule(const Outcome& outcome) {
    TestWriter tests(writer_);
    const CallRule& rule = *outcome.rule;
    const Entry refuse = Entry::Cold(writer_.Return(outcome.action));
    const Entry allow = Entry::Cold(writer_.Return(kRetAllow));
    Entry next = HasEmpty(rule.allow) ? allow : refuse;
    if (!HasEmpty(rule.allow)) {
      for (auto it = rule.allow.rbegin(); it != rule.allow.rend(); ++it) {
        next = tests.WriteAll(*it, allow, next);
      }
    }
    for (auto it = rule.deny.rbegin(); it != rule.deny.rend(); ++it) {
      next = tests.WriteAll(*it, refuse, next);
    }
    return next.cold;
  }

  const CallPlan& plan_;
  std::vector<Range> ranges_;
  FilterWriter writer_;
  std::vector<std::pair<Outcome, Label>> written_;
};

bool FitsWidth(const Condition& condition) {
  if (condition.arg > 5) return false;
  if (condition.bits != 16 && condition.bits != 32 && condition.bits != 64) return false;
  const uint64_t above = condition.bits == 64 ? 0 : ~uint64_t{0} << condition.bits;
  return ((condition.mask | condition.value | condition.from | condition.to) & above) == 0;
}

std::optional<std::string> PlanDefect(const CallPlan& plan) {
  const auto unsorted = [](const CallRule& a, const CallRule& b) { return a.nr >= b.nr; };
  if (std::ranges::adjacent_find(plan.rules, unsorted) != plan.rules.end()) {
    return "the rules are not sorted by number, one a call";
  }
  if (std::ranges::adjacent_find(plan.absent, std::greater_equal<>()) != plan.absent.end()) {
    return "the absent calls are not sorted, each once";
  }
  for (const CallRule& rule : plan.rules) {
    for (const auto* list : {&rule.allow, &rule.deny}) {
      for (const Conjunction& conjunction : *list) {
        if (!std::ranges::all_of(conjunction, FitsWidth)) {
          return fmt::format("a condition of call {} is wider than its argument", rule.nr);
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace

tl::expected<Filter, std::string> GenerateFilter(const CallPlan& plan) {
  if (auto defect = PlanDefect(plan)) return tl::unexpected(*defect);
  Filter filter = Generator(plan).Generate();
  if (filter.size() > kMaxFilterLength) {
    return tl::unexpected(fmt::format("{} instructions are needed, the kernel takes {}",
                                      filter.size(), kMaxFilterLength));
  }
  if (auto defect = FilterDefect(filter)) return tl::unexpected(*defect);
  return filter;
}

}  // namespace bulkhead
