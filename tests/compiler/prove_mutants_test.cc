// SPDX-License-Identifier: Apache-2.0
// The proof at scale: filters of random policies are proved, and no mutation of one instruction
// slips. Suites whose name starts with Slow have the full counts and an entry of their own.
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <optional>
#include <set>
#include <string>

#include "compiler/prove.h"
#include "tests/compiler/boundary_calls.h"
#include "tests/compiler/calls_support.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::MustGenerate;
using testing::PlanMaker;
using testing::Seed;

// Few rules of few words each, so that all combinations of boundary values can be tried.
CallPlan SmallPlan(PlanMaker& maker) {
  CallPlan plan;
  plan.arch = maker.OneIn(3) ? Arch::kAarch64 : Arch::kX86_64;
  // At most three conditions on two registers.
  const auto conjunctions = [&](std::array<uint8_t, 2> args) {
    std::vector<Conjunction> result(1 + maker.Below(2));
    result[0].resize(1 + maker.Below(2));
    if (result.size() == 2) result[1].resize(1);
    for (Conjunction& conjunction : result) {
      for (Condition& condition : conjunction) {
        condition = maker.AnyCondition();
        condition.arg = args[maker.Below(2)];
      }
    }
    return result;
  };
  for (uint32_t nr = maker.Below(4); nr < 460; nr += 1 + maker.Below(maker.OneIn(2) ? 3 : 90)) {
    CallRule rule{nr, {{}}, {}};
    const auto arg = static_cast<uint8_t>(maker.Below(6));
    const std::array<uint8_t, 2> args{arg, static_cast<uint8_t>(maker.Below(6))};
    if (maker.OneIn(2)) (maker.OneIn(2) ? rule.allow : rule.deny) = conjunctions(args);
    plan.rules.push_back(std::move(rule));
    if (maker.OneIn(5)) plan.absent.push_back(nr + maker.Below(2));
  }
  plan.absent.erase(std::unique(plan.absent.begin(), plan.absent.end()), plan.absent.end());
  if (maker.OneIn(2)) plan.traced = maker.Below(460);
  if (plan.traced && std::ranges::binary_search(plan.absent, *plan.traced)) plan.traced.reset();
  plan.otherwise = maker.OneIn(2) ? kRetUserNotif : kRetErrno | 1;
  plan.absent_action = maker.OneIn(2) ? kRetUserNotif : kRetErrno | 38;
  return plan;
}

uint32_t AnyAction(PlanMaker& maker) {
  static constexpr uint32_t kActions[] = {
      kRetAllow, kRetUserNotif, kRetErrno | 1, kRetErrno | 38, kRetKillProcess, kRetLog, kRetTrace};
  return kActions[maker.Below(std::size(kActions))];
}

// One instruction becomes another one, of any kind.
void MutateOne(Filter& filter, PlanMaker& maker) {
  static constexpr uint16_t kJumps[] = {kJumpEqual, kJumpGreater, kJumpGreaterEqual, kJumpSet};
  Instruction& ins = filter[maker.Below(static_cast<uint32_t>(filter.size()))];
  const auto number = static_cast<uint32_t>(maker.Value(32));
  switch (maker.Below(10)) {
    case 0:
      std::swap(ins.jt, ins.jf);
      break;
    case 1:
      ins.k ^= uint32_t{1} << maker.Below(32);
      break;
    case 2:
      ins.k += maker.OneIn(2) ? 1 : UINT32_MAX;
      break;
    case 3:
      ins.jt = static_cast<uint8_t>(maker.OneIn(2) ? maker.Below(12) : ins.jt + 1U);
      break;
    case 4:
      ins.jf = static_cast<uint8_t>(maker.OneIn(2) ? maker.Below(12) : ins.jf + 1U);
      break;
    case 5:
      ins.code = kJumps[maker.Below(4)];
      break;
    case 6:
      ins = {kAndConst, 0, 0, number};
      break;
    case 7:
      ins = {kLoad, 0, 0, 4 * maker.Below(16)};
      break;
    case 8:
      ins = {kReturn, 0, 0, AnyAction(maker)};
      break;
    default:
      ins.k = number;
  }
}

std::optional<SeccompData> FirstDifference(const CallPlan& plan, const Filter& filter,
                                           size_t& tried) {
  std::optional<SeccompData> difference;
  testing::ForBoundaryCalls(plan, filter, [&](const SeccompData& data) {
    ++tried;
    if (Evaluate(filter, data).action == ReferenceAction(plan, data)) return true;
    difference = data;
    return false;
  });
  return difference;
}

struct Tally {
  size_t plans = 0;
  size_t disproved = 0;
  size_t equal = 0;
  size_t tried = 0;    // calls, to see that these are equal
  size_t control = 0;  // disproved ones that were tried too
  size_t found = 0;    // and on which trying found a difference
};

void Judge(const CallPlan& plan, const Filter& mutant, Prover& prover, Tally& tally) {
  const auto disproof = prover.Prove(plan, mutant);
  if (!disproof) {
    ++tally.equal;
    const auto difference = FirstDifference(plan, mutant, tally.tried);
    BOOST_REQUIRE_MESSAGE(!difference, "a mutant slipped: " << testing::Describe(*difference));
    return;
  }
  ++tally.disproved;
  BOOST_REQUIRE_MESSAGE(disproof->expected != disproof->returned, disproof->reason);
  BOOST_REQUIRE(ReferenceAction(plan, disproof->data) == disproof->expected);
  BOOST_REQUIRE(Evaluate(mutant, disproof->data).action == disproof->returned);
  if (tally.disproved % 16 != 0) return;
  // Trying is worth something only if it finds what is there.
  ++tally.control;
  size_t ignored = 0;
  if (FirstDifference(plan, mutant, ignored)) ++tally.found;
}

void JudgeMutants(size_t mutants, size_t per_plan) {
  PlanMaker maker(Seed());
  Prover prover;
  Tally tally;
  while (tally.disproved + tally.equal < mutants) {
    const CallPlan plan = SmallPlan(maker);
    const Filter original = MustGenerate(plan);
    BOOST_REQUIRE(!prover.Prove(plan, original));
    BOOST_REQUIRE(!FirstDifference(plan, original, tally.tried));
    ++tally.plans;
    for (size_t i = 0; i < per_plan;) {
      Filter mutant = original;
      MutateOne(mutant, maker);
      if (mutant == original || FilterDefect(mutant)) continue;
      Judge(plan, mutant, prover, tally);
      ++i;
    }
  }
  BOOST_TEST_MESSAGE(tally.plans << " plans, " << tally.disproved
                                 << " mutants disproved with a call, " << tally.equal
                                 << " proved equal; " << tally.tried
                                 << " calls tried; trying found " << tally.found << " of "
                                 << tally.control << " differences");
  BOOST_TEST(tally.disproved > mutants / 2);
  BOOST_TEST(tally.equal > mutants / 100);
  // Each difference was confirmed by the disproof's own call. The boundary set is made by rule of
  // thumb: some combination of tests may escape it.
  BOOST_TEST(tally.found + 1 + tally.control / 1000 >= tally.control);
}

std::string OneOf(PlanMaker& maker, std::initializer_list<const char*> words) {
  return words.begin()[maker.Below(static_cast<uint32_t>(words.size()))];
}

std::string Number(PlanMaker& maker) { return std::to_string(maker.Value(32)); }

std::string RandomTest(PlanMaker& maker) {
  switch (maker.Below(6)) {
    case 0:
      return "{ioctl: {request: [" + Number(maker) + "]}}";
    case 1:
      return "{fcntl: {cmd: [" + OneOf(maker, {"F_SETFL", "F_GETFD", "F_SETPIPE_SZ"}) + "]}}";
    case 2:
      return "{lseek: {whence: {from: " + std::to_string(maker.Below(3)) + ", to: 4}}}";
    case 3:
      return "{mmap: {prot: {mask: 4, equals: 0}, flags: {mask: " +
             std::to_string(1 + maker.Below(40)) + ", equals: 0}}}";
    case 4:
      return "{madvise: {advice: [MADV_FREE, MADV_DONTNEED]}}";
    default:
      return OneOf(maker, {"getpid", "sched_yield", "getcpu", "uname", "sysinfo"});
  }
}

std::string RandomList(PlanMaker& maker, uint32_t least, bool groups) {
  std::set<std::string> items;  // none twice
  for (uint32_t i = least + maker.Below(4); i > 0; --i) {
    items.insert(
        groups && maker.OneIn(2)
            ? "\"@" +
                  OneOf(maker, {"io", "files-read", "files", "memory", "threads", "signals",
                                "polling", "socket-io", "time", "timers", "process-info",
                                "scheduling", "batch", "service", "master-worker"}) +
                  "\""
            : RandomTest(maker));
  }
  std::string list;
  for (const std::string& item : items) list += (list.empty() ? "" : ", ") + item;
  return "[" + list + "]";
}

std::string RandomPolicy(PlanMaker& maker, size_t components) {
  std::string text = "bulkhead: 1\nenclave: random\ntarget: " +
                     OneOf(maker, {"linux-6.18", "linux-6.18-aarch64"}) + "\ncomponents:\n";
  for (size_t i = 0; i < components; ++i) {
    text += "  c" + std::to_string(i) + ":\n    exec: [/usr/bin/one]\n" +
            "    files: {execute: [/usr/bin/one]}\n    syscalls:\n      allow: " +
            RandomList(maker, 1, true) + "\n";
    if (maker.OneIn(2)) text += "      deny: " + RandomList(maker, 1, false) + "\n";
  }
  return text;
}

// Compiling proves every filter, or fails.
void ProvePolicies(size_t policies) {
  constexpr size_t kTogether = 250;
  PlanMaker maker(Seed());
  std::set<std::vector<uint32_t>> different;
  for (size_t done = 0; done < policies; done += kTogether) {
    const auto compiled = testing::MustCompile(RandomPolicy(maker, kTogether));
    for (const ProfileData& profile : compiled->components) {
      std::vector<uint32_t> key;
      for (const Instruction& ins : profile.filter) {
        key.insert(key.end(), {ins.code, ins.jt, ins.jf, ins.k});
      }
      different.insert(std::move(key));
    }
  }
  BOOST_TEST_MESSAGE(policies << " components proved, " << different.size()
                              << " different filters");
  BOOST_TEST(different.size() > policies / 2);
}

BOOST_AUTO_TEST_SUITE(ProofOfMany)

BOOST_AUTO_TEST_CASE(RandomPolicies) { ProvePolicies(250); }
BOOST_AUTO_TEST_CASE(NoMutantSlips) { JudgeMutants(1000, 20); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(SlowProofOfMany)

BOOST_AUTO_TEST_CASE(RandomPolicies) { ProvePolicies(10000); }
BOOST_AUTO_TEST_CASE(NoMutantSlips) { JudgeMutants(100000, 20); }

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
