// SPDX-License-Identifier: Apache-2.0
// The generator against libseccomp's, on plans that version 2.5.4 gets right: equality and masked
// equality on whole registers, no denials, and of one call either alternatives for one argument or
// several arguments at once. With both it now and then joins branches so that a call is allowed
// which no rule allows; beside a general rule it drops the others; it knows no narrower arguments.
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "profiles/syscalls.h"
#include "tests/compiler/calls_support.h"

namespace bulkhead {
namespace {

using testing::MustGenerate;
using testing::PlanMaker;

constexpr uint32_t kRefused = kRetErrno | 1;

using Program = std::vector<sock_filter>;

// The opcodes that libseccomp writes, read independently of profiles/filter.cc.
uint32_t Run(const Program& program, const SeccompData& data) {
  uint32_t a = 0;
  size_t pc = 0;
  while (pc < program.size()) {
    const sock_filter& ins = program[pc++];
    switch (ins.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + ins.k, sizeof a);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= ins.k;
        break;
      case BPF_JMP | BPF_JA:
        pc += ins.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        pc += a == ins.k ? ins.jt : ins.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        pc += a > ins.k ? ins.jt : ins.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        pc += a >= ins.k ? ins.jt : ins.jf;
        break;
      case BPF_RET | BPF_K:
        return ins.k;
      default:
        BOOST_FAIL("libseccomp wrote opcode " << ins.code);
    }
  }
  BOOST_FAIL("libseccomp's program has no end");
  return 0;
}
static_assert(sizeof(SeccompData) == 64);

Program Exported(scmp_filter_ctx context) {
  const int fd = memfd_create("filter", MFD_CLOEXEC);
  BOOST_REQUIRE(fd >= 0);
  BOOST_REQUIRE(seccomp_export_bpf(context, fd) == 0);
  const off_t size = lseek(fd, 0, SEEK_END);
  Program program(static_cast<size_t>(size) / sizeof(sock_filter));
  BOOST_REQUIRE(pread(fd, program.data(), static_cast<size_t>(size), 0) == size);
  close(fd);
  return program;
}

scmp_arg_cmp Comparison(const Condition& condition) {
  if (condition.mask == UINT64_MAX) return SCMP_CMP64(condition.arg, SCMP_CMP_EQ, condition.value);
  return SCMP_CMP64(condition.arg, SCMP_CMP_MASKED_EQ, condition.mask, condition.value);
}

Program ByLibseccomp(const CallPlan& plan) {
  const std::unique_ptr<void, decltype(&seccomp_release)> context(seccomp_init(SCMP_ACT_ERRNO(1)),
                                                                  &seccomp_release);
  BOOST_REQUIRE(context != nullptr);
  for (const CallRule& rule : plan.rules) {
    for (const Conjunction& conjunction : rule.allow) {
      std::vector<scmp_arg_cmp> comparisons;
      for (const Condition& condition : conjunction) comparisons.push_back(Comparison(condition));
      const int result = seccomp_rule_add_exact_array(
          context.get(), SCMP_ACT_ALLOW, static_cast<int>(rule.nr),
          static_cast<unsigned>(comparisons.size()), comparisons.data());
      BOOST_REQUIRE_MESSAGE(result == 0, "call " << rule.nr << ": " << result);
    }
  }
  return Exported(context.get());
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
    const Program theirs = ByLibseccomp(plan);
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
