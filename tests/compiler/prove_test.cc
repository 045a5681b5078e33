// SPDX-License-Identifier: Apache-2.0
// The prover accepts what the generator writes, and finds every planted difference.
#include "compiler/prove.h"

#include <boost/test/unit_test.hpp>
#include <optional>
#include <utility>

#include "tests/compiler/calls_support.h"

namespace bulkhead {
namespace {

using testing::MustGenerate;
using testing::PlanMaker;
using testing::Seed;

constexpr uint32_t kDensest = 10;

// The disproof's call is one on which the two differ as it says.
void RequireWitness(const CallPlan& plan, const Filter& filter, const Disproof& disproof) {
  BOOST_TEST(disproof.expected != disproof.returned);
  BOOST_REQUIRE(ReferenceAction(plan, disproof.data) == disproof.expected);
  BOOST_REQUIRE(Evaluate(filter, disproof.data).action == disproof.returned);
}

// A call on which the two differ, by trying.
std::optional<SeccompData> FindDifference(const CallPlan& plan, const Filter& filter,
                                          PlanMaker& maker) {
  for (const uint32_t arch : {AuditArch(plan.arch), 0U}) {
    for (uint32_t nr = 0; nr < 500; ++nr) {
      const SeccompData data{nr, arch, 0, {}};
      if (Evaluate(filter, data).action != ReferenceAction(plan, data)) return data;
    }
  }
  for (const CallRule& rule : plan.rules) {
    for (const SeccompData& data : maker.Near(plan, rule)) {
      if (Evaluate(filter, data).action != ReferenceAction(plan, data)) return data;
    }
  }
  return std::nullopt;
}

void Mutate(Filter& filter, PlanMaker& maker) {
  Instruction& ins = filter[maker.Below(static_cast<uint32_t>(filter.size()))];
  switch (maker.Below(4)) {
    case 0:
      std::swap(ins.jt, ins.jf);
      break;
    case 1:
      ins.k ^= uint32_t{1} << maker.Below(32);
      break;
    case 2:
      ins.jt = static_cast<uint8_t>(ins.jt + 1);
      break;
    default:
      if (ins.code == kJumpEqual || ins.code == kJumpGreaterEqual) ins.code = kJumpGreater;
  }
}

BOOST_AUTO_TEST_SUITE(Proof)

BOOST_AUTO_TEST_CASE(GeneratedFiltersAreProved) {
  PlanMaker maker(Seed());
  for (int i = 0; i < 60; ++i) {
    const CallPlan plan = maker.Plan(kDensest);
    size_t paths = 0;
    const auto disproof = Prove(plan, MustGenerate(plan), &paths);
    BOOST_REQUIRE_MESSAGE(!disproof, disproof->reason);
    BOOST_TEST(paths > plan.rules.size());
  }
}

// Every mutant is either proved equal, and then no trial finds a difference, or disproved with a
// call that shows one.
BOOST_AUTO_TEST_CASE(MutantsAreJudgedRightly) {
  PlanMaker maker(Seed());
  size_t disproved = 0;
  size_t proved = 0;
  for (int i = 0; i < 40; ++i) {
    const CallPlan plan = maker.Plan(kDensest);
    const Filter original = MustGenerate(plan);
    for (int j = 0; j < 8; ++j) {
      Filter filter = original;
      Mutate(filter, maker);
      if (filter == original || FilterDefect(filter)) continue;
      if (const auto disproof = Prove(plan, filter)) {
        RequireWitness(plan, filter, *disproof);
        ++disproved;
      } else {
        BOOST_TEST(!FindDifference(plan, filter, maker).has_value());
        ++proved;
      }
    }
  }
  BOOST_TEST_MESSAGE(disproved << " mutants disproved, " << proved << " proved equal");
  BOOST_TEST(disproved > 80U);
}

// One value out of 2^64: no sampling would meet it.
BOOST_AUTO_TEST_CASE(ASingleCallIsFound) {
  CallPlan plan;
  plan.rules = {{9, {{}}, {}}};
  CallPlan other = plan;
  other.rules[0].deny = {{Equal(1, 64, 0x123456789abcdef1)}};
  const Filter filter = MustGenerate(plan);
  BOOST_TEST(!Prove(plan, filter).has_value());
  const auto disproof = Prove(other, filter);
  BOOST_REQUIRE(disproof.has_value());
  RequireWitness(other, filter, *disproof);
  BOOST_TEST(disproof->data.nr == 9U);
  BOOST_TEST(disproof->data.args[1] == 0x123456789abcdef1U);
  BOOST_TEST(disproof->reason == "the filter answers 0x7fff0000 where the plan says 0x7fc00000");
}

// The half rules that hand-written filters have.
BOOST_AUTO_TEST_CASE(HalfRulesAreDisproved) {
  CallPlan plan;
  plan.rules = {{0, {{}}, {}}};
  const Filter no_arch{{kLoad, 0, 0, kOffsetNr},
                       {kJumpEqual, 1, 0, 0},
                       {kReturn, 0, 0, kRetUserNotif},
                       {kReturn, 0, 0, kRetAllow}};
  auto disproof = Prove(plan, no_arch);
  BOOST_REQUIRE(disproof.has_value());
  RequireWitness(plan, no_arch, *disproof);
  BOOST_TEST(disproof->data.arch != AuditArch(plan.arch));

  const Filter no_x32{{kLoad, 0, 0, kOffsetArch},
                      {kJumpEqual, 1, 0, AuditArch(plan.arch)},
                      {kReturn, 0, 0, kRetKillProcess},
                      {kLoad, 0, 0, kOffsetNr},
                      {kJumpEqual, 1, 0, 0},
                      {kReturn, 0, 0, kRetUserNotif},
                      {kReturn, 0, 0, kRetAllow}};
  disproof = Prove(plan, no_x32);
  BOOST_REQUIRE(disproof.has_value());
  RequireWitness(plan, no_x32, *disproof);
  BOOST_TEST(disproof->data.nr >= 0x40000000U);

  // A 32-bit argument compared as 64 bits, and the other way round.
  CallPlan narrow;
  narrow.rules = {{16, {{}}, {{Equal(1, 32, 0x5412)}}}};
  CallPlan wide = narrow;
  wide.rules[0].deny = {{Equal(1, 64, 0x5412)}};
  for (const auto& [said, done] : {std::pair(narrow, wide), std::pair(wide, narrow)}) {
    const Filter filter = MustGenerate(done);
    disproof = Prove(said, filter);
    BOOST_REQUIRE(disproof.has_value());
    RequireWitness(said, filter, *disproof);
    BOOST_TEST(static_cast<uint32_t>(disproof->data.args[1]) == 0x5412U);
    BOOST_TEST(disproof->data.args[1] != 0x5412U);
  }
}

// The accumulator is 0 before the first load, and a filter may look at the instruction pointer.
BOOST_AUTO_TEST_CASE(WhatTheGeneratorNeverWrites) {
  CallPlan plan;
  const Filter filter{{kJumpEqual, 0, 4, 0},
                      {kLoad, 0, 0, 12},
                      {kAndConst, 0, 0, 0x80},
                      {kJumpGreater, 1, 0, 0x7f},
                      {kReturn, 0, 0, kRetKillProcess},
                      {kReturn, 0, 0, kRetAllow}};
  const auto disproof = Prove(plan, filter);
  BOOST_REQUIRE(disproof.has_value());
  RequireWitness(plan, filter, *disproof);

  // Two programs for the same: kill whatever is foreign or x32, notify else.
  const Filter roundabout{{kAndConst, 0, 0, 7},
                          {kJumpSet, 4, 0, 1},
                          {kLoad, 0, 0, kOffsetArch},
                          {kJumpEqual, 0, 2, AuditArch(plan.arch)},
                          {kLoad, 0, 0, kOffsetNr},
                          {kJumpSet, 0, 1, 0xc0000000},
                          {kReturn, 0, 0, kRetKillProcess},
                          {kReturn, 0, 0, kRetUserNotif}};
  size_t paths = 0;
  BOOST_TEST(!Prove(plan, roundabout, &paths).has_value());
  BOOST_TEST(paths == 3U);
}

BOOST_AUTO_TEST_CASE(DefectsAreNotProved) {
  const CallPlan plan;
  BOOST_TEST(Prove(plan, {}).value().reason == "the filter is empty");
  BOOST_TEST(Prove(plan, {{kLoad, 0, 0, 0}}).value().reason ==
             "instruction 0: the program does not end in a return");
  CallPlan wrong;
  wrong.rules = {{1, {{Equal(6, 32, 0)}}, {}}};
  BOOST_TEST(Prove(wrong, MustGenerate(plan)).value().reason == "the plan tests what no call has");
}

// Tests of the number that no few ranges express, on their own and after tests of arguments.
BOOST_AUTO_TEST_CASE(NumbersByBits) {
  CallPlan plan;
  plan.rules = {{2, {{}}, {}}, {3, {{Equal(0, 32, 5)}}, {}}};
  const uint32_t arch = AuditArch(plan.arch);
  Filter filter{{kLoad, 0, 0, kOffsetArch},
                {kJumpEqual, 0, 9, arch},
                {kLoad, 0, 0, kOffsetNr},
                {kJumpSet, 5, 0, 0xfffffffc},
                {kJumpSet, 0, 7, 2},
                {kJumpSet, 0, 4, 1},
                {kLoad, 0, 0, OffsetArgLow(0)},
                {kAndConst, 0, 0, UINT32_MAX},
                {kJumpEqual, 1, 3, 5},
                {kJumpGreaterEqual, 1, 2, 0x40000000},
                {kReturn, 0, 0, kRetAllow},
                {kReturn, 0, 0, kRetKillProcess},
                {kReturn, 0, 0, kRetUserNotif}};
  size_t paths = 0;
  BOOST_TEST(!Prove(plan, filter, &paths).has_value());
  BOOST_TEST(paths == 7U);
  for (const uint32_t mask : {0x7ffffffcU, 0xfffffff8U, 0xfefffffcU, 0xffffffffU}) {
    filter[3].k = mask;
    const auto disproof = Prove(plan, filter);
    BOOST_REQUIRE(disproof.has_value());
    RequireWitness(plan, filter, *disproof);
  }
}

// What was proved before changes no verdict.
BOOST_AUTO_TEST_CASE(OneProverForMany) {
  PlanMaker maker(Seed());
  Prover prover;
  for (int i = 0; i < 60; ++i) {
    const CallPlan plan = maker.Plan(kDensest);
    Filter filter = MustGenerate(plan);
    if (maker.OneIn(2)) Mutate(filter, maker);
    size_t paths = 0;
    size_t paths_alone = 0;
    const auto disproof = prover.Prove(plan, filter, &paths);
    BOOST_REQUIRE(disproof.has_value() == Prove(plan, filter, &paths_alone).has_value());
    BOOST_TEST(paths == paths_alone);
    if (disproof && !FilterDefect(filter)) RequireWitness(plan, filter, *disproof);
  }
}

// Pairs of bits of two arguments, all of the first before all of the second: the set of calls has
// no small diagram. What can't be proved is not proved.
BOOST_AUTO_TEST_CASE(TooLargeIsNotProved) {
  const auto pairs = [](unsigned count) {
    CallPlan plan;
    plan.rules = {{3, {}, {}}};
    for (unsigned i = 0; i < count; ++i) {
      const uint64_t bit = uint64_t{1} << i;
      plan.rules[0].allow.push_back({MaskedEqual(0, 64, bit, bit), MaskedEqual(5, 64, bit, bit)});
    }
    return plan;
  };
  BOOST_TEST(!Prove(pairs(10), MustGenerate(pairs(10))).has_value());
  const auto disproof = Prove(pairs(40), MustGenerate(pairs(40)));
  BOOST_REQUIRE(disproof.has_value());
  BOOST_TEST(disproof->reason == "the proof needs more than 1048576 nodes");
  Prover prover;  // and the next proof begins anew
  BOOST_TEST(prover.Prove(pairs(40), MustGenerate(pairs(40))).has_value());
  BOOST_TEST(!prover.Prove(pairs(10), MustGenerate(pairs(10))).has_value());
}

// Each pair of instructions doubles what may be in the accumulator.
BOOST_AUTO_TEST_CASE(TooLongIsNotProved) {
  Filter filter{{kLoad, 0, 0, OffsetArgLow(0)}};
  for (unsigned i = 0; i < 16; ++i) {
    filter.push_back({kJumpSet, 1, 0, uint32_t{1} << i});
    filter.push_back({kAndConst, 0, 0, ~(uint32_t{1} << (i + 16))});
  }
  for (unsigned i = 0; i < 16; ++i) filter.push_back({kAndConst, 0, 0, UINT32_MAX});
  filter.push_back({kReturn, 0, 0, kRetAllow});
  const auto disproof = Prove(CallPlan{}, filter);
  BOOST_REQUIRE(disproof.has_value());
  BOOST_TEST(disproof->reason == "the proof needs more than 1048576 steps");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
