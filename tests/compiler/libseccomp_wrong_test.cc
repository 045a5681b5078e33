// SPDX-License-Identifier: Apache-2.0
// A catalogue of where libseccomp 2.5.4 writes a filter that is not its rules: each entry gives the
// rules of one call, a call, what the rules say of it and what libseccomp's filter says. Ours says
// what the rules say. An entry that fails because libseccomp is right by now is to be taken out,
// and oracle_test.cc widened.
//
// Found by comparing random rules on two arguments with a reading of them. With equalities and
// masked equalities alone, of one argument or of always the same ones, nothing was found.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "tests/compiler/calls_support.h"
#include "tests/compiler/libseccomp.h"

namespace bulkhead {
namespace {

using testing::Compare;
using testing::Comparison;
using testing::SeccompRule;

constexpr uint32_t kRefused = kRetErrno | 1;
constexpr uint32_t kOther = kRetErrno | 13;

struct Entry {
  const char* what;
  std::vector<SeccompRule> rules;
  std::array<uint64_t, 6> args;
  uint32_t said;
  uint32_t theirs;
};

SeccompRule Allow(std::vector<Comparison> comparisons) {
  return {0, kRetAllow, std::move(comparisons)};
}

Comparison Is(unsigned arg, uint64_t value) { return {arg, Compare::kEq, value, 0}; }
Comparison Not(unsigned arg, uint64_t value) { return {arg, Compare::kNe, value, 0}; }
Comparison Below(unsigned arg, uint64_t value) { return {arg, Compare::kLt, value, 0}; }
Comparison Above(unsigned arg, uint64_t value) { return {arg, Compare::kGt, value, 0}; }
Comparison Masked(unsigned arg, uint64_t mask, uint64_t value) {
  return {arg, Compare::kMaskedEq, mask, value};
}

std::vector<Entry> Catalogue() {
  return {
      // What no rule allows passes.
      {"two inequalities in each of two rules",
       {Allow({Not(0, 5), Not(1, 3)}), Allow({Not(0, 1), Not(1, 2)})},
       {1, 3},
       kRefused,
       kRetAllow},
      {"an inequality alone, and in a second rule with another argument",
       {Allow({Not(0, 0)}), Allow({Not(0, 2), Not(1, 2)})},
       {0, 2},
       kRefused,
       kRetAllow},
      {"equality and inequality, crosswise",
       {Allow({Is(1, 2), Not(0, 5)}), Allow({Not(1, 0), Is(0, 3)})},
       {0, 3},
       kRefused,
       kRetAllow},
      {"above in one rule, below in another with a second argument",
       {Allow({Above(0, 1)}), Allow({Below(1, 5), Below(0, 3)})},
       {0, 5},
       kRefused,
       kRetAllow},
      {"above and below in each of two rules",
       {Allow({Above(0, 3), Below(1, 2)}), Allow({Above(0, 5), Below(1, 3)})},
       {4, 2},
       kRefused,
       kRetAllow},
      // What a rule allows is refused.
      {"an equality, and in a second rule two inequalities",
       {Allow({Is(0, 0)}), Allow({Not(1, 2), Not(0, 2)})},
       {0, 2},
       kRetAllow,
       kRefused},
      {"masks of two arguments beside a mask of one",
       {Allow({Masked(0, 6, 1), Masked(1, UINT32_MAX, 0)}),
        Allow({Masked(0, 6, 0), Masked(1, 1, 0)}), Allow({Masked(1, UINT32_MAX, 0)})},
       {0, 2},
       kRetAllow,
       kRefused},
      // A rule without tests drops those with tests, whatever their action and their order.
      {"allowed in general, answered otherwise for one value",
       {Allow({}), {0, kOther, {Is(0, 5)}}},
       {5},
       kOther,
       kRetAllow},
      {"answered otherwise for one value, allowed in general",
       {{0, kOther, {Is(0, 5)}}, Allow({})},
       {5},
       kOther,
       kRetAllow},
  };
}

// The plan that the rules say; an action of their own is a denial.
CallPlan PlanOf(const std::vector<SeccompRule>& rules) {
  CallPlan plan;
  plan.arch = NativeArch();
  plan.otherwise = kRefused;
  CallRule rule;
  for (const SeccompRule& one : rules) {
    Conjunction all;
    for (const Comparison& item : one.comparisons) {
      Condition condition = Equal(item.arg, 64, item.value);
      condition.negated = item.op == Compare::kNe;
      if (item.op == Compare::kMaskedEq) {
        condition = MaskedEqual(item.arg, 64, item.value, item.value_two & item.value);
      } else if (item.op == Compare::kLt || item.op == Compare::kGt) {
        condition.op = Condition::Op::kRange;
        condition.mask = condition.value = 0;
        condition.from = item.op == Compare::kLt ? 0 : item.value + 1;
        condition.to = item.op == Compare::kLt ? item.value - 1 : UINT64_MAX;
      }
      all.push_back(condition);
    }
    (one.action == kRetAllow ? rule.allow : rule.deny).push_back(all);
  }
  plan.rules = {rule};
  return plan;
}

BOOST_AUTO_TEST_SUITE(LibseccompIsWrong)

BOOST_AUTO_TEST_CASE(InEveryEntry) {
  for (const Entry& entry : Catalogue()) {
    BOOST_TEST_CONTEXT(entry.what) {
      const testing::Program theirs = testing::ByLibseccomp(kRefused, entry.rules);
      const Filter ours = testing::MustGenerate(PlanOf(entry.rules));
      const SeccompData data{0, AuditArch(NativeArch()), 0, entry.args};
      BOOST_TEST(testing::Run(theirs, data) == entry.theirs);
      const uint32_t answer = Evaluate(ours, data).action;
      BOOST_TEST((answer == kRetAllow) == (entry.said == kRetAllow));
      // The control: another call, of which both say the same.
      const SeccompData other{1, AuditArch(NativeArch()), 0, entry.args};
      BOOST_TEST(testing::Run(theirs, other) == kRefused);
      BOOST_TEST(Evaluate(ours, other).action == kRefused);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
