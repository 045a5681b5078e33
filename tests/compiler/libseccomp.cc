// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/libseccomp.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <memory>

namespace bulkhead::testing {
namespace {

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

scmp_compare OperatorOf(Compare op) {
  switch (op) {
    case Compare::kNe:
      return SCMP_CMP_NE;
    case Compare::kLt:
      return SCMP_CMP_LT;
    case Compare::kLe:
      return SCMP_CMP_LE;
    case Compare::kEq:
      return SCMP_CMP_EQ;
    case Compare::kGe:
      return SCMP_CMP_GE;
    case Compare::kGt:
      return SCMP_CMP_GT;
    case Compare::kMaskedEq:
      return SCMP_CMP_MASKED_EQ;
  }
  return SCMP_CMP_EQ;
}

}  // namespace

Program ByLibseccomp(uint32_t default_action, const std::vector<SeccompRule>& rules,
                     uint32_t optimize) {
  const std::unique_ptr<void, decltype(&seccomp_release)> context(seccomp_init(default_action),
                                                                  &seccomp_release);
  BOOST_REQUIRE(context != nullptr);
  BOOST_REQUIRE(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, optimize) == 0);
  for (const SeccompRule& rule : rules) {
    std::vector<scmp_arg_cmp> comparisons;
    for (const Comparison& item : rule.comparisons) {
      comparisons.push_back({item.arg, OperatorOf(item.op), item.value, item.value_two});
    }
    const int result =
        seccomp_rule_add_exact_array(context.get(), rule.action, static_cast<int>(rule.nr),
                                     static_cast<unsigned>(comparisons.size()), comparisons.data());
    BOOST_REQUIRE_MESSAGE(result == 0, "call " << rule.nr << ": " << result);
  }
  return Exported(context.get());
}

// The opcodes that libseccomp writes.
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

}  // namespace bulkhead::testing
