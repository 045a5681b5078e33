// SPDX-License-Identifier: Apache-2.0
// Random plans and calls near their edges, for the tests of the filter compiler. The same seed
// gives the same plans.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "compiler/calls.h"
#include "compiler/filter_gen.h"
#include "compiler/resolve_calls.h"

namespace bulkhead::testing {

// BULKHEAD_TEST_SEED repeats a run.
inline uint32_t Seed() {
  const char* given = std::getenv("BULKHEAD_TEST_SEED");
  const uint32_t seed = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10))
                                         : std::random_device()();
  BOOST_TEST_MESSAGE("BULKHEAD_TEST_SEED=" << seed);
  return seed;
}

inline std::string Describe(const SeccompData& data) {
  std::string text = "nr " + std::to_string(data.nr) + " arch " + std::to_string(data.arch);
  for (const uint64_t arg : data.args) text += " " + std::to_string(arg);
  return text;
}

class PlanMaker {
 public:
  explicit PlanMaker(uint32_t seed) : random_(seed) {}

  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  bool OneIn(uint32_t n) { return Below(n) == 0; }

  uint64_t Value(unsigned bits) {
    static constexpr uint64_t kEdges[] = {0,
                                          1,
                                          2,
                                          0x7f,
                                          0xff,
                                          0x8000,
                                          0xffff,
                                          0x10000,
                                          0x7fffffff,
                                          0x80000000,
                                          0xffffffff,
                                          0x100000000,
                                          0x8000000000000000,
                                          UINT64_MAX - 1,
                                          UINT64_MAX};
    const uint64_t value = OneIn(2) ? kEdges[Below(std::size(kEdges))] : random_();
    return Cut(OneIn(4) ? value & random_() : value, bits);
  }

  Condition AnyCondition() {
    static constexpr uint8_t kBits[] = {16, 32, 64};
    Condition condition;
    condition.arg = static_cast<uint8_t>(Below(6));
    condition.bits = kBits[Below(3)];
    condition.negated = OneIn(4);
    if (OneIn(3)) {
      condition.op = Condition::Op::kRange;
      condition.from = Value(condition.bits);
      condition.to = Value(condition.bits);
      if (condition.from > condition.to && !OneIn(10)) std::swap(condition.from, condition.to);
    } else {
      condition.mask = OneIn(2) ? Cut(UINT64_MAX, condition.bits) : Value(condition.bits);
      condition.value = Value(condition.bits) & (OneIn(10) ? UINT64_MAX : condition.mask);
      condition.value = Cut(condition.value, condition.bits);
    }
    return condition;
  }

  std::vector<Conjunction> Conjunctions(uint32_t most) {
    std::vector<Conjunction> result(Below(most + 1));
    for (Conjunction& conjunction : result) {
      conjunction.resize(OneIn(12) ? 0 : 1 + Below(3));
      for (Condition& condition : conjunction) condition = AnyCondition();
    }
    return result;
  }

  // Of the numbers, one in `densest` has a rule, or fewer.
  CallPlan Plan(uint32_t densest = 3) {
    CallPlan plan;
    plan.arch = OneIn(3) ? Arch::kAarch64 : Arch::kX86_64;
    const uint32_t density = densest + Below(38);
    for (uint32_t nr = 0; nr <= 480; ++nr) {
      if (OneIn(density)) plan.rules.push_back(Rule(nr));
      if (OneIn(20)) {
        plan.absent.push_back(nr);
      } else if (OneIn(20)) {
        plan.skipped.push_back(nr);
      }
    }
    plan.otherwise = OneIn(2) ? kRetUserNotif : kRetErrno | 1;
    plan.absent_action = OneIn(2) ? kRetUserNotif : kRetErrno | 38;
    if (OneIn(2)) plan.traced = Below(481);
    for (const auto* listed : {&plan.absent, &plan.skipped}) {
      if (plan.traced && std::ranges::binary_search(*listed, *plan.traced)) plan.traced.reset();
    }
    return plan;
  }

  // Registers at, beside and a power of two away from what the rule's conditions compare with.
  std::vector<SeccompData> Near(const CallPlan& plan, const CallRule& rule) {
    SeccompData data;
    data.nr = rule.nr;
    data.arch = AuditArch(plan.arch);
    std::vector<SeccompData> calls{data};
    for (const auto* list : {&rule.allow, &rule.deny}) {
      for (const Conjunction& conjunction : *list) AddNear(conjunction, data, calls);
    }
    return calls;
  }

 private:
  static uint64_t Cut(uint64_t value, unsigned bits) {
    return bits == 64 ? value : value & ((uint64_t{1} << bits) - 1);
  }

  CallRule Rule(uint32_t nr) {
    CallRule rule;
    rule.nr = nr;
    if (OneIn(2)) {
      rule.allow = {{}};
    } else {
      rule.allow = Conjunctions(6);
    }
    if (OneIn(3)) rule.deny = Conjunctions(3);
    return rule;
  }

  void AddNear(const Conjunction& conjunction, SeccompData data, std::vector<SeccompData>& calls) {
    for (uint64_t& arg : data.args) arg = Value(64);
    for (const Condition& condition : conjunction) {
      uint64_t& arg = data.args[condition.arg];
      arg = condition.op == Condition::Op::kRange
                ? (OneIn(2) ? condition.from : condition.to)
                : (condition.value | (random_() & ~condition.mask));
      if (condition.bits < 64) arg |= random_() << condition.bits;
    }
    calls.push_back(data);
    for (const Condition& condition : conjunction) {
      SeccompData moved = data;
      moved.args[condition.arg] += 1;
      calls.push_back(moved);
      moved.args[condition.arg] -= 2;
      calls.push_back(moved);
      moved = data;
      moved.args[condition.arg] ^= uint64_t{1} << Below(64);
      calls.push_back(moved);
      moved = data;
      moved.args[condition.arg] += uint64_t{1} << condition.bits % 64;
      calls.push_back(moved);
    }
  }

  std::mt19937_64 random_;
};

inline Filter MustGenerate(const CallPlan& plan) {
  const auto filter = GenerateFilter(plan);
  BOOST_REQUIRE_MESSAGE(filter.has_value(), (filter ? "" : filter.error()));
  const auto defect = FilterDefect(*filter);
  BOOST_REQUIRE_MESSAGE(!defect, defect.value_or(""));
  return *filter;
}

}  // namespace bulkhead::testing
