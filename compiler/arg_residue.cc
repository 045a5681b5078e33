// SPDX-License-Identifier: Apache-2.0
#include "compiler/arg_residue.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace bulkhead {
namespace {

using Op = Condition::Op;

uint32_t Low(uint64_t value) { return static_cast<uint32_t>(value); }
uint32_t High(uint64_t value) { return static_cast<uint32_t>(value >> 32); }
uint64_t AllOf(unsigned bits) { return bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1; }

// What a condition comes to.
struct Verdict {
  std::optional<bool> known;
  Condition rest;  // unless known
};

Verdict Known(bool holds) { return {holds, {}}; }

Verdict Settled(Condition condition) {
  const bool negated = condition.negated;
  if (condition.op == Op::kRange) {
    if (condition.from > condition.to) return Known(negated);
    if (condition.from == 0 && condition.to == AllOf(condition.bits)) return Known(!negated);
    if (condition.from == condition.to) {
      condition.op = Op::kMasked;
      condition.mask = AllOf(condition.bits);
      condition.value = std::exchange(condition.from, 0);
      condition.to = 0;
    }
  }
  if (condition.op == Op::kMasked) {
    if ((condition.value & ~condition.mask) != 0) return Known(negated);
    if (condition.mask == 0) return Known(!negated);
    if (condition.bits == 64 && High(condition.mask) == 0) condition.bits = 32;
  }
  return {std::nullopt, condition};
}

bool IsPlainMask(const Condition& condition) {
  return condition.op == Op::kMasked && !condition.negated;
}

// Two masks of one argument are one. False: they contradict each other.
bool Join(Conjunction& conjunction, const Condition& condition) {
  const auto same = std::ranges::find_if(conjunction, [&](const Condition& other) {
    return IsPlainMask(other) && other.arg == condition.arg && other.bits == condition.bits;
  });
  if (!IsPlainMask(condition) || same == conjunction.end()) {
    conjunction.push_back(condition);
    return true;
  }
  const uint64_t common = same->mask & condition.mask;
  if (((same->value ^ condition.value) & common) != 0) return false;
  same->mask |= condition.mask;
  same->value |= condition.value;
  return true;
}

// nullopt: it never holds.
std::optional<Conjunction> Settled(const Conjunction& conjunction) {
  Conjunction result;
  for (const Condition& condition : conjunction) {
    const Verdict verdict = Settled(condition);
    if (verdict.known == false) return std::nullopt;
    if (!verdict.known && !Join(result, verdict.rest)) return std::nullopt;
  }
  std::ranges::sort(result);
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

// The arguments, with the bits that are looked at, that single conditions of `list` compare whole.
using Sets = std::map<std::pair<uint8_t, uint8_t>, std::vector<uint64_t>>;

bool IsEquality(const Conjunction& conjunction) {
  return conjunction.size() == 1 && conjunction[0].op == Op::kMasked && !conjunction[0].negated &&
         conjunction[0].mask == AllOf(conjunction[0].bits);
}

// Bits of which every combination is in the set (sorted): all that can be added one after the
// other.
uint64_t FreeBits(const std::vector<uint64_t>& set) {
  const auto has = [&](uint64_t value) { return std::ranges::binary_search(set, value); };
  std::vector<uint64_t> combinations{0};
  uint64_t bits = 0;
  if (!has(0)) return 0;
  for (const uint64_t bit : set) {
    if (bit == 0 || (bit & (bit - 1)) != 0) continue;
    if (!std::ranges::all_of(combinations, [&](uint64_t c) { return has(c | bit); })) continue;
    const size_t count = combinations.size();
    for (size_t i = 0; i < count; ++i) combinations.push_back(combinations[i] | bit);
    bits |= bit;
  }
  return bits;
}

void JoinFlags(std::vector<Conjunction>& list) {
  Sets sets;
  for (const Conjunction& conjunction : list) {
    if (!IsEquality(conjunction)) continue;
    const Condition& condition = conjunction[0];
    sets[{condition.arg, condition.bits}].push_back(condition.value);
  }
  for (auto& [key, set] : sets) {
    std::ranges::sort(set);
    const uint64_t bits = FreeBits(set);
    // One comparison less than the values; those that are a range are one comparison already.
    if ((bits & (bits - 1)) == 0 || (bits & (bits + 1)) == 0) continue;
    Condition joined;
    joined.arg = key.first;
    joined.bits = key.second;
    joined.mask = AllOf(key.second) & ~bits;
    std::erase_if(list, [&](const Conjunction& conjunction) {
      return IsEquality(conjunction) && conjunction[0].arg == joined.arg &&
             conjunction[0].bits == joined.bits && (conjunction[0].value & joined.mask) == 0;
    });
    list.push_back({joined});
  }
}

std::vector<Conjunction> Settled(const std::vector<Conjunction>& list) {
  std::vector<Conjunction> result;
  for (const Conjunction& conjunction : list) {
    auto settled = Settled(conjunction);
    if (!settled) continue;
    if (settled->empty()) return {{}};
    result.push_back(std::move(*settled));
  }
  JoinFlags(result);
  std::ranges::sort(result);
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

bool Always(const std::vector<Conjunction>& list) { return !list.empty() && list[0].empty(); }

Held WordOf(const Condition& condition) {
  const bool masked = condition.op == Op::kMasked;
  if (condition.bits == 64) {
    return {OffsetArgHigh(condition.arg), masked ? High(condition.mask) : UINT32_MAX};
  }
  return {OffsetArgLow(condition.arg), Low(masked ? condition.mask : AllOf(condition.bits))};
}

template <typename Visit>
void EachCondition(const Residue& residue, Visit visit) {
  for (const auto* list : {&residue.allow, &residue.deny}) {
    for (const Conjunction& conjunction : *list) {
      for (const Condition& condition : conjunction) visit(condition);
    }
  }
}

// The first value and the last one of what the condition compares with.
std::pair<uint32_t, uint32_t> Bounds(const Condition& condition) {
  const bool high = condition.bits == 64;
  const auto word = [&](uint64_t value) { return high ? High(value) : Low(value); };
  if (condition.op == Op::kMasked) return {word(condition.value), word(condition.value)};
  return {word(condition.from), word(condition.to)};
}

// Without regard to the negation.
Verdict LowRest(const Condition& condition, uint32_t high) {
  Condition rest = condition;
  rest.bits = 32;
  rest.negated = false;
  if (condition.op == Op::kMasked) {
    rest.mask = Low(condition.mask);
    rest.value = Low(condition.value);
  } else {
    rest.from = high == High(condition.from) ? Low(condition.from) : 0;
    rest.to = high == High(condition.to) ? Low(condition.to) : UINT32_MAX;
  }
  return {std::nullopt, rest};
}

Verdict Given(const Condition& condition, const Held& held, uint32_t value) {
  if (WordOf(condition) != held) return {std::nullopt, condition};
  const auto [first, last] = Bounds(condition);
  if (value < first || value > last) return Known(condition.negated);
  if (condition.bits != 64) return Known(!condition.negated);
  Verdict verdict = LowRest(condition, value);
  verdict.rest.negated = condition.negated;
  return verdict;
}

std::vector<Conjunction> Given(const std::vector<Conjunction>& list, const Held& held,
                               uint32_t value) {
  std::vector<Conjunction> result;
  for (const Conjunction& conjunction : list) {
    Conjunction rest;
    bool holds = true;
    for (const Condition& condition : conjunction) {
      const Verdict verdict = Given(condition, held, value);
      if (!verdict.known) rest.push_back(verdict.rest);
      if (verdict.known == false) holds = false;
      if (!holds) break;
    }
    if (holds) result.push_back(std::move(rest));
  }
  return result;
}

}  // namespace

Residue Simplified(Residue residue) {
  // To deny all but one mask is to ask for it.
  std::erase_if(residue.deny, [&](const Conjunction& deny) {
    const bool single = deny.size() == 1 && deny[0].op == Op::kMasked && deny[0].negated;
    if (!single || residue.allow.size() != 1) return false;
    residue.allow[0].push_back(deny[0]);
    residue.allow[0].back().negated = false;
    return true;
  });
  residue.allow = Settled(residue.allow);
  residue.deny = Settled(residue.deny);
  if (residue.allow.empty() || Always(residue.deny)) return {};
  return residue;
}

std::optional<bool> Decided(const Residue& residue) {
  if (residue.allow.empty()) return false;
  if (Always(residue.allow) && residue.deny.empty()) return true;
  return std::nullopt;
}

Held NextWord(const Residue& residue) {
  std::map<std::pair<uint32_t, uint32_t>, size_t> asked;
  EachCondition(residue, [&](const Condition& condition) {
    const Held held = WordOf(condition);
    ++asked[{held.word, held.mask}];
  });
  const auto most = std::ranges::max_element(
      asked, [](const auto& a, const auto& b) { return a.second < b.second; });
  return {most->first.first, most->first.second};
}

std::vector<uint32_t> Cuts(const Residue& residue, const Held& held) {
  std::vector<uint32_t> cuts{0};
  EachCondition(residue, [&](const Condition& condition) {
    if (WordOf(condition) != held) return;
    const auto [first, last] = Bounds(condition);
    for (const uint32_t bound : {first, last}) {
      cuts.push_back(bound);
      if (bound < held.mask) cuts.push_back(bound + 1);
    }
  });
  std::ranges::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

Residue Given(const Residue& residue, const Held& held, uint32_t value) {
  return Simplified({Given(residue.allow, held, value), Given(residue.deny, held, value)});
}

}  // namespace bulkhead
