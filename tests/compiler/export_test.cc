// SPDX-License-Identifier: Apache-2.0
// Filters written for others: as BPF with other answers, and as OCI profiles that allow exactly the
// same calls.
#include <boost/test/unit_test.hpp>
#include <set>

#include "compiler/allowed_calls.h"
#include "compiler/cubes.h"
#include "compiler/export_filter.h"
#include "compiler/export_oci.h"
#include "tests/compiler/calls_support.h"
#include "tests/compiler/compile_support.h"
#include "tests/compiler/oci_reading.h"

namespace bulkhead {
namespace {

using testing::CallsNear;
using testing::MustCompile;
using testing::MustGenerate;
using testing::OciReading;
using testing::One;
using testing::PlanMaker;
using testing::ReadOci;

constexpr uint32_t kEperm = kRetErrno | 1;
constexpr uint32_t kEnosys = kRetErrno | 38;

const std::string kBody =
    "    files: {execute: [/usr/bin/one, \"@loader\"]}\n"
    "    syscalls: {allow: [\"@service\", \"@master-worker\", {kill: {sig: {not: [9, 19]}}},\n"
    "                       {lseek: {offset: {from: 4096, to: 1000000}}}]}\n";

ProfileData Sample(const std::string& target = "") {
  return MustCompile(One(kBody), {}, target).Component("one");
}

std::string MustExport(const ProfileData& profile, const ExportOptions& options = {}) {
  const auto text = ExportOci(profile, options);
  BOOST_REQUIRE_MESSAGE(text.has_value(), (text ? "" : text.error()));
  return *text;
}

Filter MustRewrite(const ProfileData& profile, const ExportOptions& options) {
  const auto filter = ExportFilter(profile, options);
  BOOST_REQUIRE_MESSAGE(filter.has_value(), (filter ? "" : filter.error()));
  return *filter;
}

// Calls with registers of all kinds: their upper halves are anybody's.
std::vector<SeccompData> Probes(const ProfileData& profile, const OciReading& reading,
                                uint32_t seed) {
  std::vector<SeccompData> calls = CallsNear(reading, profile.arch);
  PlanMaker maker(seed);
  const size_t count = calls.size();
  for (size_t i = 0; i < count; ++i) {
    SeccompData data = calls[i];
    data.args[maker.Below(6)] ^= uint64_t{1} << maker.Below(64);
    calls.push_back(data);
    data.args[maker.Below(6)] = maker.Value(64);
    calls.push_back(data);
  }
  return calls;
}

BOOST_AUTO_TEST_SUITE(Exports)

BOOST_AUTO_TEST_CASE(WithoutChangesTheFilterIsAsCompiled) {
  const ProfileData profile = Sample();
  BOOST_TEST((MustRewrite(profile, {}) == profile.filter));
  const std::vector<uint8_t> bytes = EncodeFilter(profile.filter);
  BOOST_REQUIRE(bytes.size() == 8 * profile.filter.size());
  const auto* raw = reinterpret_cast<const sock_filter*>(bytes.data());
  for (size_t i = 0; i < profile.filter.size(); ++i) {
    const Instruction& ins = profile.filter[i];
    BOOST_TEST((raw[i].code == ins.code && raw[i].jt == ins.jt && raw[i].jf == ins.jf &&
                raw[i].k == ins.k));
  }
}

BOOST_AUTO_TEST_CASE(RefusalsAreAnsweredInTheFilter) {
  const ProfileData profile = Sample();
  const uint32_t seed = testing::Seed();
  const std::vector<SeccompData> probes = Probes(profile, ReadOci(MustExport(profile)), seed);
  const std::set<uint32_t> absent(profile.absent.begin(), profile.absent.end());
  for (const Refusal refusal : {Refusal::kErrno, Refusal::kKill}) {
    const Filter filter = MustRewrite(profile, {refusal, false});
    size_t refused = 0;
    for (const SeccompData& data : probes) {
      uint32_t expected = Evaluate(profile.filter, data).action;
      if (expected == kRetUserNotif) {
        ++refused;
        expected = refusal == Refusal::kErrno ? kEperm : kRetKillProcess;
        if (absent.contains(data.nr)) expected = kEnosys;
      }
      BOOST_REQUIRE_MESSAGE(Evaluate(filter, data).action == expected, testing::Describe(data)
                                                                           << ", seed " << seed);
    }
    BOOST_TEST(refused > 100U);
  }
}

BOOST_AUTO_TEST_CASE(ExecveIsAddedAndNothingElse) {
  const ProfileData profile = Sample();
  const Filter filter = MustRewrite(profile, {Refusal::kNotify, true});
  BOOST_TEST(Evaluate(profile.filter, {59, AuditArch(profile.arch), 0, {}}).action ==
             kRetUserNotif);
  BOOST_TEST(Evaluate(filter, {59, AuditArch(profile.arch), 0, {}}).action == kRetAllow);
  BOOST_TEST(Evaluate(filter, {59, AuditArch(Arch::kAarch64), 0, {}}).action == kRetKillProcess);
  for (uint32_t nr = 0; nr < 500; ++nr) {
    const SeccompData data{nr, AuditArch(profile.arch), 0, {}};
    if (nr != 59)
      BOOST_TEST(Evaluate(filter, data).action == Evaluate(profile.filter, data).action);
  }
  const OciReading reading = ReadOci(MustExport(profile, {Refusal::kErrno, true}));
  BOOST_TEST(reading.Allows({59, AuditArch(profile.arch), 0, {}}));
}

BOOST_AUTO_TEST_CASE(TheProfileAllowsWhatTheFilterAllows) {
  for (const char* target : {"linux-6.18", "linux-6.18-aarch64"}) {
    const ProfileData profile = Sample(target);
    const OciReading reading = ReadOci(MustExport(profile), {profile.arch, {}, {6, 18}});
    const uint32_t seed = testing::Seed();
    size_t allowed = 0;
    for (const SeccompData& data : Probes(profile, reading, seed)) {
      const bool ours = Evaluate(profile.filter, data).action == kRetAllow;
      BOOST_REQUIRE_MESSAGE(ours == reading.Allows(data), testing::Describe(data)
                                                              << ", seed " << seed);
      allowed += ours;
    }
    BOOST_TEST(allowed > 1000U);
  }
}

BOOST_AUTO_TEST_CASE(TheSameByLibseccomp) {
  const ProfileData profile = Sample();
  for (const Refusal refusal : {Refusal::kErrno, Refusal::kKill}) {
    const OciReading reading = ReadOci(MustExport(profile, {refusal, false}));
    const Filter ours = MustRewrite(profile, {refusal, false});
    for (const uint32_t optimize : {1U, 2U}) {
      const testing::Program theirs =
          testing::ByLibseccomp(reading.default_action, reading.rules, optimize);
      const uint32_t seed = testing::Seed();
      for (const SeccompData& data : Probes(profile, reading, seed)) {
        BOOST_REQUIRE_MESSAGE(Evaluate(ours, data).action == testing::Run(theirs, data),
                              testing::Describe(data) << ", seed " << seed);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(CubesAreTheSet) {
  const uint32_t seed = testing::Seed();
  PlanMaker maker(seed);
  size_t covered = 0;
  for (int i = 0; i < 60; ++i) {
    CallSets sets(size_t{1} << 22);
    const auto set = sets.AnyHolds(maker.Conjunctions(2));
    const auto cubes = Cubes(set, 64, sets);
    if (!cubes) continue;
    ++covered;
    auto joined = Bdd::kNothing;
    for (const Cube& cube : *cubes) joined = sets.bdd().Or(joined, CubeSet(cube, sets));
    BOOST_TEST(joined == set, "seed " << seed);
  }
  BOOST_TEST(covered > 10U);
}

BOOST_AUTO_TEST_CASE(RandomFiltersAreReadBack) {
  const uint32_t seed = testing::Seed();
  PlanMaker maker(seed);
  for (int i = 0; i < 20; ++i) {
    const CallPlan plan = maker.Plan(12);
    CallSets sets(size_t{1} << 20);
    const auto allowed = AllowedCalls(MustGenerate(plan), plan.arch, sets);
    BOOST_REQUIRE_MESSAGE(allowed.has_value(), (allowed ? "" : allowed.error()));
    std::map<uint32_t, CallSets::Set> expected;
    for (const CallRule& rule : plan.rules) {
      const auto set =
          sets.bdd().And(sets.AnyHolds(rule.allow), Bdd::Not(sets.AnyHolds(rule.deny)));
      if (set != Bdd::kNothing) expected[rule.nr] = set;
    }
    BOOST_TEST((*allowed == expected), "seed " << seed);
  }
}

BOOST_AUTO_TEST_CASE(WhatIsNoListOfCallsIsAnError) {
  const uint32_t native = AuditArch(Arch::kX86_64);
  const struct {
    Filter filter;
    const char* error;
  } kCases[] = {
      {{}, "the filter is empty"},
      {{{kReturn, 0, 0, kRetAllow}}, "the filter allows calls of another architecture"},
      {{{kLoad, 0, 0, kOffsetArch},
        {kJumpEqual, 0, 1, native},
        {kReturn, 0, 0, kRetAllow},
        {kReturn, 0, 0, kRetKillProcess}},
       "the filter allows numbers that are no system calls"},
      {{{kLoad, 0, 0, kOffsetArch},
        {kJumpEqual, 0, 1, native},
        {kReturn, 0, 0, kRetLog},
        {kReturn, 0, 0, kRetKillProcess}},
       "the filter allows calls and has the kernel log them"},
      {{{kLoad, 0, 0, kOffsetNr},
        {kJumpSet, 0, 1, 1},
        {kReturn, 0, 0, kRetAllow},
        {kReturn, 0, 0, kRetKillProcess}},
       "the filter tests bits of numbers in a way no list can say"},
      {{{kLoad, 0, 0, kOffsetArch},
        {kJumpEqual, 0, 3, native},
        {kLoad, 0, 0, kOffsetNr},
        {kJumpEqual, 0, 1, 499},
        {kReturn, 0, 0, kRetAllow},
        {kReturn, 0, 0, kRetKillProcess}},
       "call 499 is allowed and has no name"},
      {{{kLoad, 0, 0, kOffsetArch},
        {kJumpEqual, 0, 5, native},
        {kLoad, 0, 0, kOffsetNr},
        {kJumpEqual, 0, 3, 0},
        {kLoad, 0, 0, 8},
        {kJumpEqual, 0, 1, 4096},
        {kReturn, 0, 0, kRetAllow},
        {kReturn, 0, 0, kRetKillProcess}},
       "`read` is allowed by the instruction pointer"},
  };
  for (const auto& item : kCases) {
    ProfileData profile;
    profile.filter = item.filter;
    const auto text = ExportOci(profile, {});
    BOOST_REQUIRE(!text.has_value());
    BOOST_TEST(text.error() == item.error);
  }
}

// Two arguments that may each not be one value: 64 entries for each, multiplied.
BOOST_AUTO_TEST_CASE(TooManyEntriesAreAnError) {
  CallPlan plan;
  CallRule rule{0, {{}}, {}};
  for (unsigned arg = 0; arg < 2; ++arg) {
    Condition condition = Equal(arg, 64, 0x123456789abcdef0);
    condition.negated = true;
    rule.allow.front().push_back(condition);
  }
  plan.rules = {rule};
  ProfileData profile;
  profile.filter = MustGenerate(plan);
  const auto text = ExportOci(profile, {});
  BOOST_REQUIRE(!text.has_value());
  BOOST_TEST(text.error() == "the tests of `read` need more than 512 entries");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
