// SPDX-License-Identifier: Apache-2.0
// The generator against libseccomp's, on plans that version 2.5.4 gets right: equality and masked
// equality on whole registers, no denials, and of one call either alternatives for one argument or
// several arguments at once. With both it now and then joins branches so that a call is allowed
// which no rule allows; beside a general rule it drops the others; it knows no narrower arguments.
#include <boost/test/unit_test.hpp>
#include <vector>

#include "profiles/syscalls.h"
#include "tests/compiler/calls_support.h"
#include "tests/compiler/libseccomp.h"

namespace bulkhead {
namespace {

using testing::ByLibseccomp;
using testing::Compare;
using testing::MustGenerate;
using testing::PlanMaker;
using testing::Program;
using testing::Run;
using testing::SeccompRule;

constexpr uint32_t kRefused = kRetErrno | 1;

std::vector<SeccompRule> RulesOf(const CallPlan& plan) {
  std::vector<SeccompRule> rules;
  for (const CallRule& rule : plan.rules) {
    for (const Conjunction& conjunction : rule.allow) {
      SeccompRule one{rule.nr, kRetAllow, {}};
      for (const Condition& condition : conjunction) {
        const bool whole = condition.mask == UINT64_MAX;
        one.comparisons.push_back({condition.arg, whole ? Compare::kEq : Compare::kMaskedEq,
                                   whole ? condition.value : condition.mask, condition.value});
      }
      rules.push_back(one);
    }
  }
  return rules;
}

Condition SimpleCondition(PlanMaker& maker, unsigned arg, uint64_t mask) {
  return MaskedEqual(arg, 64, mask, maker.Value(64) & mask);
}

uint64_t AnyMask(PlanMaker& maker) { return maker.OneIn(2) ? UINT64_MAX : maker.Value(64) | 1; }

// Several values of one argument.
std::vector<Conjunction> Alternatives(PlanMaker& maker) {
  const unsigned arg = maker.Below(6);
  const uint64_t mask = AnyMask(maker);
  std::vector<Conjunction> alternatives(1 + maker.Below(4));
  for (Conjunction& conjunction : alternatives) {
    conjunction = {SimpleCondition(maker, arg, mask)};
  }
  return alternatives;
}

// Several arguments at once.
std::vector<Conjunction> Together(PlanMaker& maker) {
  Conjunction conjunction;
  for (unsigned arg = 0; arg < 6; ++arg) {
    if (maker.OneIn(3)) conjunction.push_back(SimpleCondition(maker, arg, AnyMask(maker)));
  }
  return {conjunction};
}

CallPlan SimplePlan(PlanMaker& maker) {
  CallPlan plan;
  plan.arch = NativeArch();
  plan.otherwise = kRefused;
  for (uint32_t nr = 0; nr < 330; ++nr) {
    if (!maker.OneIn(6) || SyscallName(plan.arch, nr).empty()) continue;
    CallRule rule;
    rule.nr = nr;
    rule.allow = maker.OneIn(2) ? Alternatives(maker) : Together(maker);
    plan.rules.push_back(rule);
  }
  plan.rules = MergeRules(std::move(plan.rules));
  return plan;
}

BOOST_AUTO_TEST_SUITE(Oracle)

BOOST_AUTO_TEST_CASE(SameAsLibseccomp) {
  const uint32_t seed = testing::Seed();
  PlanMaker maker(seed);
  size_t allowed = 0;
  size_t refused = 0;
  for (int i = 0; i < 60; ++i) {
    const CallPlan plan = SimplePlan(maker);
    const Filter ours = MustGenerate(plan);
    const Program theirs = ByLibseccomp(kRefused, RulesOf(plan));
    const auto compare = [&](const SeccompData& data) {
      const uint32_t action = Evaluate(ours, data).action;
      BOOST_REQUIRE_MESSAGE(action == Run(theirs, data), testing::Describe(data)
                                                             << ", seed " << seed);
      ++(action == kRetAllow ? allowed : refused);
    };
    for (uint32_t nr = 0; nr <= 500; ++nr) compare({nr, AuditArch(plan.arch), 0, {}});
    for (const CallRule& rule : plan.rules) {
      for (const SeccompData& data : maker.Near(plan, rule)) compare(data);
    }
  }
  BOOST_TEST(allowed > 1000U);
  BOOST_TEST(refused > 1000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
