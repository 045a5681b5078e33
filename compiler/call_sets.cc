// SPDX-License-Identifier: Apache-2.0
#include "compiler/call_sets.h"

#include <array>

namespace bulkhead {
namespace {

constexpr uint32_t kInstructionPointer = 8;  // offset in SeccompData

// The words by the order of their variables: small diagrams need first what divides most, and of
// each word the highest bit first.
constexpr uint32_t kOrder[] = {
    kOffsetArch,      kOffsetNr,       OffsetArgHigh(0),        OffsetArgLow(0),
    OffsetArgHigh(1), OffsetArgLow(1), OffsetArgHigh(2),        OffsetArgLow(2),
    OffsetArgHigh(3), OffsetArgLow(3), OffsetArgHigh(4),        OffsetArgLow(4),
    OffsetArgHigh(5), OffsetArgLow(5), kInstructionPointer + 4, kInstructionPointer};

constexpr auto kPlaces = [] {  // in kOrder, by word of the data
  std::array<uint32_t, std::size(kOrder)> places{};
  for (uint32_t i = 0; i < std::size(kOrder); ++i) places[kOrder[i] / 4] = i;
  return places;
}();

uint32_t Variable(uint32_t offset, unsigned bit) {
  const uint32_t word = offset / 4 + (bit < 32 ? 0U : 1U);
  return kPlaces[word] * 32U + (31 - bit % 32);
}

void SetBit(SeccompData& data, uint32_t offset, uint32_t bit) {
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

}  // namespace

CallSets::Set CallSets::Masked(const Value& value, uint64_t mask, uint64_t wanted) {
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

CallSets::Set CallSets::AtLeast(const Value& value, uint64_t limit) {
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

CallSets::Set CallSets::Above(const Value& value, uint64_t limit) {
  return limit == UINT64_MAX ? Bdd::kNothing : AtLeast(value, limit + 1);
}

CallSets::Set CallSets::In(uint32_t offset, const Ranges& ranges) {
  const Value word{offset, UINT32_MAX};
  Set set = Bdd::kNothing;
  for (const Range& range : ranges) {
    const Set one = bdd_.And(AtLeast(word, range.first), Bdd::Not(Above(word, range.last)));
    set = bdd_.Or(set, one);
  }
  return set;
}

CallSets::Set CallSets::Holds(const Condition& condition) {
  const uint64_t live = condition.bits == 64 ? UINT64_MAX : (uint64_t{1} << condition.bits) - 1;
  const Value value{OffsetArgLow(condition.arg), live};
  const Set holds =
      condition.op == Condition::Op::kMasked
          ? Masked(value, condition.mask, condition.value)
          : bdd_.And(AtLeast(value, condition.from), Bdd::Not(Above(value, condition.to)));
  return condition.negated ? Bdd::Not(holds) : holds;
}

CallSets::Set CallSets::AnyHolds(const std::vector<Conjunction>& conjunctions) {
  Set any = Bdd::kNothing;
  for (const Conjunction& conjunction : conjunctions) {
    Set all = Bdd::kAll;
    for (const Condition& condition : conjunction) all = bdd_.And(all, Holds(condition));
    any = bdd_.Or(any, all);
  }
  return any;
}

SeccompData CallSets::AnyMember(Set set) const {
  SeccompData data;
  for (const uint32_t variable : bdd_.AnyMember(set)) {
    SetBit(data, kOrder[variable / 32], uint32_t{1} << (31 - variable % 32));
  }
  return data;
}

}  // namespace bulkhead
