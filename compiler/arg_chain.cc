// SPDX-License-Identifier: Apache-2.0
#include "compiler/arg_chain.h"

#include <algorithm>

namespace bulkhead {
namespace {

// Writes tests of argument words. Everything is written backwards: a test is given the places where
// it goes on, and gives the place where it starts.
class ChainWriter {
 public:
  explicit ChainWriter(FilterWriter& writer) : writer_(writer) {}

  CodeEntry Write(const Condition& condition, const CodeEntry& holds, const CodeEntry& fails) {
    const CodeEntry& yes = condition.negated ? fails : holds;
    const CodeEntry& no = condition.negated ? holds : fails;
    return condition.op == Condition::Op::kMasked ? Masked(condition, yes, no)
                                                  : InRange(condition, yes, no);
  }

  CodeEntry WriteAll(const Conjunction& conjunction, const CodeEntry& hold, const CodeEntry& fail) {
    CodeEntry next = hold;
    for (auto it = conjunction.rbegin(); it != conjunction.rend(); ++it) {
      next = Write(*it, next, fail);
    }
    return next;
  }

 private:
  static uint32_t Low(uint64_t value) { return static_cast<uint32_t>(value); }
  static uint32_t High(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

  CodeEntry Masked(const Condition& condition, const CodeEntry& yes, const CodeEntry& no) {
    const CodeEntry low =
        MaskedWord(OffsetArgLow(condition.arg), Low(condition.mask), Low(condition.value), yes, no);
    return MaskedWord(OffsetArgHigh(condition.arg), High(condition.mask), High(condition.value),
                      low, no);
  }

  CodeEntry MaskedWord(uint32_t word, uint32_t mask, uint32_t value, const CodeEntry& yes,
                       const CodeEntry& no) {
    if ((value & ~mask) != 0) return no;
    if (mask == 0) return yes;
    const bool one_bit = (mask & (mask - 1)) == 0;
    if (mask != UINT32_MAX && (value == 0 || (one_bit && value == mask))) {
      // Without a copy of the masked word the next test of it needs no load.
      const Held held{word, UINT32_MAX};
      const CodeEntry& set = value == 0 ? no : yes;
      const CodeEntry& clear = value == 0 ? yes : no;
      return writer_.Load(held, writer_.Branch(kJumpSet, mask, set.For(held), clear.For(held)));
    }
    const Held held{word, mask};
    return writer_.Load(held, writer_.Branch(kJumpEqual, value, yes.For(held), no.For(held)));
  }

  CodeEntry InRange(const Condition& condition, const CodeEntry& yes, const CodeEntry& no) {
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
  CodeEntry InWord(const Held& held, uint32_t max, uint32_t from, uint32_t to, const CodeEntry& yes,
                   const CodeEntry& no) {
    if (from == 0 && to == max) return yes;
    const Label in = yes.For(held);
    const Label out = no.For(held);
    if (from == to) return writer_.Load(held, writer_.Branch(kJumpEqual, from, in, out));
    Label start = to == max ? in : writer_.Branch(kJumpGreater, to, out, in);
    if (from != 0) start = writer_.Branch(kJumpGreaterEqual, from, start, out);
    return writer_.Load(held, start);
  }

  CodeEntry InTwoWords(const Held& high, const Held& low, const Condition& condition,
                       const CodeEntry& yes, const CodeEntry& no) {
    const uint32_t from = High(condition.from);
    const uint32_t to = High(condition.to);
    const uint32_t low_from = Low(condition.from);
    const uint32_t low_to = Low(condition.to);
    if (from == to) {
      const CodeEntry rest = InWord(low, UINT32_MAX, low_from, low_to, yes, no);
      return MaskedWord(high.word, UINT32_MAX, from, rest, no);
    }
    // Between the two high words any low word is inside; at each of them it decides.
    const CodeEntry at_from = InWord(low, UINT32_MAX, low_from, UINT32_MAX, yes, no);
    const CodeEntry at_to = InWord(low, UINT32_MAX, 0, low_to, yes, no);
    const Label out = no.For(high);
    Label start = writer_.Branch(kJumpEqual, from, at_from.For(high), yes.For(high));
    if (from != 0) start = writer_.Branch(kJumpGreaterEqual, from, start, out);
    start = writer_.Branch(kJumpEqual, to, at_to.For(high), start);
    if (to != UINT32_MAX) start = writer_.Branch(kJumpGreater, to, out, start);
    return writer_.Load(high, start);
  }

  FilterWriter& writer_;
};

bool HasEmpty(const std::vector<Conjunction>& conjunctions) {
  return std::ranges::any_of(conjunctions, &Conjunction::empty);
}

}  // namespace

// Deny first, then allow, else refuse.
CodeEntry WriteArgChain(FilterWriter& writer, const CallRule& rule, const CodeEntry& allow,
                        const CodeEntry& refuse) {
  ChainWriter tests(writer);
  CodeEntry next = HasEmpty(rule.allow) ? allow : refuse;
  if (!HasEmpty(rule.allow)) {
    for (auto it = rule.allow.rbegin(); it != rule.allow.rend(); ++it) {
      next = tests.WriteAll(*it, allow, next);
    }
  }
  for (auto it = rule.deny.rbegin(); it != rule.deny.rend(); ++it) {
    next = tests.WriteAll(*it, refuse, next);
  }
  return next;
}

}  // namespace bulkhead
