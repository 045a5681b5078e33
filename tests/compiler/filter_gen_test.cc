// SPDX-License-Identifier: Apache-2.0
// The generated program against the slow reference, and what must hold of any plan.
#include "compiler/filter_gen.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <random>
#include <string>

#include "compiler/arg_tree.h"
#include "compiler/filter_cost.h"
#include "compiler/prove.h"
#include "profiles/syscalls.h"
#include "tests/compiler/calls_support.h"

namespace bulkhead {
namespace {

using testing::Describe;
using testing::MustGenerate;
using testing::PlanMaker;
using testing::Seed;

constexpr int kPlans = 400;

void RequireSame(const CallPlan& plan, const Filter& filter, const SeccompData& data,
                 uint32_t seed) {
  const uint32_t expected = ReferenceAction(plan, data);
  const uint32_t returned = Evaluate(filter, data).action;
  BOOST_REQUIRE_MESSAGE(expected == returned, Describe(data) << ": " << returned << " is not "
                                                             << expected << ", seed " << seed);
}

CallPlan PlanOf(std::vector<CallRule> rules) {
  CallPlan plan;
  plan.rules = MergeRules(std::move(rules));
  return plan;
}

SeccompData Call(std::string_view name, std::array<uint64_t, 6> args = {}) {
  SeccompData data;
  data.nr = SyscallNumber(Arch::kX86_64, name).value();
  data.arch = AuditArch(Arch::kX86_64);
  data.args = args;
  return data;
}

uint32_t Answer(const CallPlan& plan, const SeccompData& data) {
  return Evaluate(MustGenerate(plan), data).action;
}

BOOST_AUTO_TEST_SUITE(FilterGeneration)

BOOST_AUTO_TEST_CASE(SameAsReferenceOnRandomPlans) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  size_t allowed = 0;
  size_t refused = 0;
  for (int i = 0; i < kPlans; ++i) {
    const CallPlan plan = maker.Plan();
    const Filter filter = MustGenerate(plan);
    for (uint32_t nr = 0; nr <= 500; ++nr) {
      SeccompData data{nr, AuditArch(plan.arch), 0, {}};
      RequireSame(plan, filter, data, seed);
      for (uint64_t& arg : data.args) arg = maker.Value(64);
      RequireSame(plan, filter, data, seed);
    }
    for (const CallRule& rule : plan.rules) {
      for (const SeccompData& data : maker.Near(plan, rule)) {
        RequireSame(plan, filter, data, seed);
        ++(ReferenceAction(plan, data) == kRetAllow ? allowed : refused);
      }
    }
  }
  BOOST_TEST(allowed > 10000U);
  BOOST_TEST(refused > 10000U);
}

BOOST_AUTO_TEST_CASE(ForeignArchitecturesAndX32AreKilled) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  for (int i = 0; i < 50; ++i) {
    const CallPlan plan = maker.Plan();
    const Filter filter = MustGenerate(plan);
    for (const uint32_t arch : {0U, 0x40000003U, 0xc000003eU, 0xc00000b7U, 0x40000028U}) {
      for (const uint32_t nr : {0U, 1U, 0x3fffffffU, 0x40000000U, 0x40000001U, 0xffffffffU}) {
        RequireSame(plan, filter, {nr, arch, 0, {}}, seed);
      }
    }
  }
  const CallPlan plan = PlanOf({MakeRule(Arch::kX86_64, "read", {{}})});
  SeccompData data = Call("read");
  BOOST_TEST(Answer(plan, data) == kRetAllow);
  data.nr |= 0x40000000U;
  BOOST_TEST(Answer(plan, data) == kRetKillProcess);
  data = Call("read");
  data.arch = 0x40000003U;  // AUDIT_ARCH_I386
  BOOST_TEST(Answer(plan, data) == kRetKillProcess);
}

// However the rules are ordered and split before they are merged.
BOOST_AUTO_TEST_CASE(TheSamePlanGivesTheSameProgram) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 20; ++i) {
    CallPlan plan = maker.Plan();
    std::vector<CallRule> parts;
    for (const CallRule& rule : plan.rules) {
      for (const Conjunction& allow : rule.allow) parts.push_back({rule.nr, {allow}, {}});
      for (const Conjunction& deny : rule.deny) parts.push_back({rule.nr, {}, {deny}});
    }
    plan.rules = MergeRules(parts);
    CallPlan shuffled = plan;
    std::ranges::shuffle(parts, random);
    shuffled.rules = MergeRules(std::move(parts));
    BOOST_TEST((MustGenerate(plan) == MustGenerate(shuffled)));
  }
}

// The kernel reads 32 bits of ioctl's request: what the other half holds must not matter.
BOOST_AUTO_TEST_CASE(HighHalfOfA32BitArgumentDoesNotMatter) {
  constexpr uint64_t kTiocsti = 0x5412;
  constexpr uint64_t kTcgets = 0x5401;
  CallPlan plan = PlanOf({MakeRule(Arch::kX86_64, "ioctl", {{}})});
  plan.rules[0].deny = {{Equal(1, 32, kTiocsti)}};
  BOOST_TEST(Answer(plan, Call("ioctl", {0, kTcgets})) == kRetAllow);
  BOOST_TEST(Answer(plan, Call("ioctl", {0, kTiocsti})) == kRetUserNotif);
  BOOST_TEST(Answer(plan, Call("ioctl", {0, kTiocsti + (uint64_t{1} << 32)})) == kRetUserNotif);
  BOOST_TEST(Answer(plan, Call("ioctl", {0, kTiocsti | 0xffffffff00000000U})) == kRetUserNotif);

  plan = PlanOf({MakeRule(Arch::kX86_64, "ioctl", {{Equal(1, 32, kTcgets)}})});
  BOOST_TEST(Answer(plan, Call("ioctl", {0, kTcgets + (uint64_t{1} << 32)})) == kRetAllow);
}

BOOST_AUTO_TEST_CASE(HighHalfOfA16BitArgumentDoesNotMatter) {
  const CallPlan plan = PlanOf({MakeRule(Arch::kX86_64, "chmod", {{Equal(1, 16, 0600)}})});
  BOOST_TEST(Answer(plan, Call("chmod", {0, 0600})) == kRetAllow);
  BOOST_TEST(Answer(plan, Call("chmod", {0, 0x10000 | 0600})) == kRetAllow);
  BOOST_TEST(Answer(plan, Call("chmod", {0, 04600})) == kRetUserNotif);
}

BOOST_AUTO_TEST_CASE(HighHalfOfA64BitArgumentMatters) {
  Condition at_most;
  at_most.arg = 1;
  at_most.bits = 64;
  at_most.op = Condition::Op::kRange;
  at_most.to = 0x100000;
  CallPlan plan = PlanOf({MakeRule(Arch::kX86_64, "mmap", {{at_most}})});
  BOOST_TEST(Answer(plan, Call("mmap", {0, 0x1000})) == kRetAllow);
  BOOST_TEST(Answer(plan, Call("mmap", {0, 0x100001})) == kRetUserNotif);
  BOOST_TEST(Answer(plan, Call("mmap", {0, 0x100001000})) == kRetUserNotif);

  plan = PlanOf({MakeRule(Arch::kX86_64, "mmap", {{Equal(1, 64, 0x1000)}})});
  BOOST_TEST(Answer(plan, Call("mmap", {0, 0x1000})) == kRetAllow);
  BOOST_TEST(Answer(plan, Call("mmap", {0, 0x100001000})) == kRetUserNotif);
}

BOOST_AUTO_TEST_CASE(DenyBeatsAllow) {
  CallPlan plan = PlanOf({MakeRule(Arch::kX86_64, "fcntl", {{Equal(1, 32, 1)}, {}})});
  BOOST_TEST(Answer(plan, Call("fcntl", {0, 1})) == kRetAllow);
  plan.rules[0].deny = {{Equal(1, 32, 1)}};
  BOOST_TEST(Answer(plan, Call("fcntl", {0, 1})) == kRetUserNotif);
  BOOST_TEST(Answer(plan, Call("fcntl", {0, 2})) == kRetAllow);
}

BOOST_AUTO_TEST_CASE(AbsentCallsHaveTheirOwnAnswer) {
  CallPlan plan = PlanOf({MakeRule(Arch::kX86_64, "read", {{}})});
  plan.absent = {SyscallNumber(Arch::kX86_64, "clone3").value()};
  plan.absent_action = kRetErrno | 38;
  BOOST_TEST(Answer(plan, Call("clone3")) == (kRetErrno | 38));
  BOOST_TEST(Answer(plan, Call("openat2")) == kRetUserNotif);
  BOOST_TEST(Answer(plan, Call("read")) == kRetAllow);
}

// What is allowed by `less` is allowed by `more`.
void RequireWithin(const CallPlan& less, const CallPlan& more, PlanMaker& maker, uint32_t seed) {
  const Filter small = MustGenerate(less);
  const Filter large = MustGenerate(more);
  for (const CallRule& rule : more.rules) {
    for (const SeccompData& data : maker.Near(more, rule)) {
      if (Evaluate(small, data).action != kRetAllow) continue;
      BOOST_REQUIRE_MESSAGE(Evaluate(large, data).action == kRetAllow, Describe(data)
                                                                           << ", seed " << seed);
    }
  }
}

BOOST_AUTO_TEST_CASE(RemovingAnAllowNeverAllowsMore) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  for (int i = 0; i < 100; ++i) {
    const CallPlan more = maker.Plan();
    if (more.rules.empty()) continue;
    CallPlan less = more;
    CallRule& rule = less.rules[maker.Below(static_cast<uint32_t>(less.rules.size()))];
    if (!rule.allow.empty()) {
      rule.allow.erase(rule.allow.begin() + maker.Below(static_cast<uint32_t>(rule.allow.size())));
    }
    RequireWithin(less, more, maker, seed);
  }
}

BOOST_AUTO_TEST_CASE(AddingADenyNeverAllowsMore) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  for (int i = 0; i < 100; ++i) {
    const CallPlan more = maker.Plan();
    if (more.rules.empty()) continue;
    CallPlan less = more;
    CallRule& rule = less.rules[maker.Below(static_cast<uint32_t>(less.rules.size()))];
    rule.deny.push_back({maker.AnyCondition()});
    RequireWithin(less, more, maker, seed);
  }
}

// One rule with so many alternatives that returns and the tree are out of a branch's reach.
BOOST_AUTO_TEST_CASE(FarTargetsAreReached) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  CallPlan plan;
  for (uint32_t nr = 0; nr < 12; nr += 2) {
    CallRule rule;
    rule.nr = nr;
    for (uint32_t i = 0; i < 90; ++i) {
      rule.allow.push_back({Equal(0, 64, i * 0x100000001U + nr), Equal(1, 32, i)});
    }
    plan.rules.push_back(rule);
  }
  const Filter filter = MustGenerate(plan);
  BOOST_TEST(filter.size() > 1500U);
  for (const CallRule& rule : plan.rules) {
    for (const SeccompData& data : maker.Near(plan, rule)) RequireSame(plan, filter, data, seed);
  }
}

BOOST_AUTO_TEST_CASE(TooLongIsAnError) {
  CallPlan plan;
  for (uint32_t nr = 0; nr < 40; ++nr) {
    CallRule rule;
    rule.nr = nr;
    for (uint32_t i = 0; i < 120; ++i) rule.allow.push_back({Equal(0, 32, i * 1000 + nr)});
    plan.rules.push_back(rule);
  }
  const auto filter = GenerateFilter(plan);
  BOOST_REQUIRE(!filter.has_value());
  BOOST_TEST(filter.error() ==
             "4982 instructions are needed, the kernel takes 4096; the most comparisons are of the "
             "arguments of `getpid` 120, `setitimer` 120, `alarm` 120");
  plan.rules.resize(20);
  BOOST_TEST(GenerateFilter(plan).has_value());
}

BOOST_AUTO_TEST_CASE(WhatIsNoPlanIsAnError) {
  CallPlan plan;
  plan.rules = {{2, {{}}, {}}, {1, {{}}, {}}};
  BOOST_TEST(GenerateFilter(plan).error() == "the rules are not sorted by number, one a call");
  plan.rules = {{1, {{}}, {}}, {1, {{}}, {}}};
  BOOST_TEST(GenerateFilter(plan).error() == "the rules are not sorted by number, one a call");
  plan.rules.clear();
  plan.absent = {3, 3};
  BOOST_TEST(GenerateFilter(plan).error() == "the absent calls are not sorted, each once");
  plan.absent.clear();
  plan.rules = {{7, {{MaskedEqual(0, 32, uint64_t{1} << 32, 0)}}, {}}};
  BOOST_TEST(GenerateFilter(plan).error() == "a condition of call 7 is wider than its argument");
  plan.rules = {{7, {}, {{Equal(6, 32, 0)}}}};
  BOOST_TEST(GenerateFilter(plan).error() == "a condition of call 7 is wider than its argument");
}

// Alternatives on one word load it once.
BOOST_AUTO_TEST_CASE(AWordIsLoadedOnce) {
  std::vector<Conjunction> allow;
  for (const uint64_t request : {0x5401, 0x5413, 0x541b, 0x5421}) {
    allow.push_back({Equal(1, 32, request)});
  }
  const Filter filter = MustGenerate(PlanOf({MakeRule(Arch::kX86_64, "ioctl", allow)}));
  const auto loads = std::ranges::count(filter, kLoad, &Instruction::code);
  BOOST_TEST(loads == 3);  // architecture, number, request
  BOOST_TEST(filter.size() <= 15U);
}

uint32_t LongestOf(const Filter& filter) {
  return CostOf(filter, Arch::kX86_64, DefaultCallMix(Arch::kX86_64)).longest;
}

// Values that have nothing in common are found by halves.
BOOST_AUTO_TEST_CASE(ALargeSetIsATree) {
  std::vector<Conjunction> allow;
  for (uint64_t i = 0; i < 300; ++i) allow.push_back({Equal(1, 32, i * i * 7)});
  const CallPlan plan = PlanOf({MakeRule(Arch::kX86_64, "ioctl", allow)});
  const Filter filter = MustGenerate(plan);
  BOOST_TEST(LongestOf(filter) <= 20U);
  BOOST_TEST(filter.size() <= 2 * allow.size());
  BOOST_TEST(!Prove(plan, filter).has_value());
}

// However they are written down: alternatives, a range of each, values of 64 bits, with a deny.
BOOST_AUTO_TEST_CASE(RangesAndDenialsAreOneTree) {
  CallRule rule = MakeRule(Arch::kX86_64, "mmap", {});
  for (uint64_t i = 0; i < 100; ++i) {
    Condition range;
    range.arg = 1;
    range.bits = 64;
    range.op = Condition::Op::kRange;
    range.from = i * 0x40000000U;
    range.to = range.from + 0x1000;
    rule.allow.push_back({range, Equal(2, 64, 1)});
    rule.deny.push_back({Equal(1, 64, range.from + 0x800)});
  }
  const CallPlan plan = PlanOf({rule});
  const Filter filter = MustGenerate(plan);
  BOOST_TEST(LongestOf(filter) <= 24U);
  BOOST_TEST(!Prove(plan, filter).has_value());
}

// Every combination of four flags is one test of bits.
BOOST_AUTO_TEST_CASE(CombinationsOfFlagsAreOneTest) {
  std::vector<Conjunction> allow;
  for (uint64_t i = 0; i < 16; ++i) {
    allow.push_back({Equal(0, 64, (i & 1) | (i & 2) << 9 | (i & 4) << 20 | (i & 8) << 40)});
  }
  const CallPlan plan = PlanOf({MakeRule(Arch::kX86_64, "clone", allow)});
  const Filter filter = MustGenerate(plan);
  BOOST_TEST(filter.size() <= 13U);
  BOOST_TEST(!Prove(plan, filter).has_value());
}

// Calls with the same conditions share them, and so do equal tails of different ones.
BOOST_AUTO_TEST_CASE(EqualConditionsAreThereOnce) {
  const std::vector<Conjunction> once{{MaskedEqual(2, 64, 6, 2), Equal(3, 64, 0x22)}};
  std::vector<Conjunction> twice = once;
  twice.push_back({Equal(0, 64, 0)});
  const size_t one = MustGenerate(PlanOf({MakeRule(Arch::kX86_64, "mmap", once)})).size();
  const CallPlan same =
      PlanOf({MakeRule(Arch::kX86_64, "mmap", once), MakeRule(Arch::kX86_64, "mprotect", once)});
  BOOST_TEST(MustGenerate(same).size() <= one + 1);
  const CallPlan tails =
      PlanOf({MakeRule(Arch::kX86_64, "mmap", once), MakeRule(Arch::kX86_64, "brk", twice)});
  BOOST_TEST(MustGenerate(tails).size() <= one + 7);
  BOOST_TEST(!Prove(tails, MustGenerate(tails)).has_value());
}

// What can't be decided word by word without far more code is tested as it is written.
BOOST_AUTO_TEST_CASE(ConditionsWithoutATreeAreProved) {
  CallRule rule = MakeRule(Arch::kX86_64, "sendto", {});
  for (uint64_t i = 0; i < 8; ++i) {
    Conjunction conjunction;
    for (unsigned arg = 0; arg < 3; ++arg) {
      conjunction.push_back(MaskedEqual(arg, 64, uint64_t{1} << (i + 30), 0));
    }
    rule.allow.push_back(conjunction);
  }
  const CallPlan plan = PlanOf({rule});
  BOOST_TEST(!PlanArgTree(plan.rules[0], {}, kNodeCost).has_value());
  BOOST_TEST(!Prove(plan, MustGenerate(plan)).has_value());
}

CallMix RandomMix(PlanMaker& maker) {
  std::string text;
  for (uint32_t i = 1 + maker.Below(60); i > 0; --i) {
    text += "any " + std::to_string(maker.Below(1000)) + " " + std::to_string(maker.Below(500));
    for (int arg = 0; arg < 6; ++arg) text += " " + std::to_string(maker.Value(64));
    text += "\n";
  }
  text += "any 1 0 0 0 0 0 0 0\n";
  return ParseCallMix(text).value();
}

BOOST_AUTO_TEST_CASE(WeightsNeverChangeTheMeaning) {
  const uint32_t seed = Seed();
  PlanMaker maker(seed);
  Prover prover;
  size_t different = 0;
  for (int i = 0; i < 60; ++i) {
    const CallPlan plan = maker.Plan(6);
    const Filter usual = MustGenerate(plan);
    for (const Weighing weighing : {Weighing::kAll, Weighing::kUncached}) {
      const auto filter = FilterGenerator(RandomMix(maker), weighing).Generate(plan);
      BOOST_REQUIRE(filter.has_value());
      BOOST_REQUIRE_MESSAGE(!prover.Prove(plan, *filter), "seed " << seed);
      if (*filter != usual) ++different;
    }
  }
  BOOST_TEST(different > 60U);
}

// Nor do plans that were made before, which leave their trees behind.
BOOST_AUTO_TEST_CASE(OtherPlansNeverChangeTheProgram) {
  PlanMaker maker(Seed());
  std::vector<CallPlan> plans;
  for (int i = 0; i < 20; ++i) {
    plans.push_back(maker.Plan(6));
    plans.back().arch = Arch::kX86_64;
    plans.push_back(plans.back());
    if (!plans.back().rules.empty()) plans.back().rules.pop_back();
  }
  FilterGenerator generator(DefaultCallMix(Arch::kX86_64), Weighing::kUncached);
  for (const CallPlan& plan : plans) {
    BOOST_TEST((generator.Generate(plan).value() == MustGenerate(plan)));
  }
}

// What is asked for often is found sooner.
BOOST_AUTO_TEST_CASE(WeightsShapeTheTree) {
  std::vector<CallRule> rules;
  for (uint32_t nr = 0; nr < 400; nr += 4) rules.push_back({nr, {{}}, {}});
  const CallPlan plan = PlanOf(rules);
  const auto mix = ParseCallMix("hot 99 200 0 0 0 0 0 0\ncold 1 204 0 0 0 0 0 0\n").value();
  const auto all = FilterGenerator(mix, Weighing::kAll).Generate(plan).value();
  SeccompData data{200, AuditArch(plan.arch), 0, {}};
  BOOST_TEST(Evaluate(all, data).executed == 5U);  // architecture, number, one comparison, return
  data.nr = 300;
  BOOST_TEST(Evaluate(all, data).executed > 9U);
  // The bitmap answers it: what is refused comes first.
  const auto refused = ParseCallMix("hot 99 200 0 0 0 0 0 0\ncold 1 201 0 0 0 0 0 0\n").value();
  const auto uncached = FilterGenerator(refused, Weighing::kUncached).Generate(plan).value();
  data.nr = 201;
  BOOST_TEST(Evaluate(uncached, data).executed <= 6U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
