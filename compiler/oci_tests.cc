// SPDX-License-Identifier: Apache-2.0
#include "compiler/oci_tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// A test without effect is true or false of every call.
struct One {
  enum class Kind : uint8_t { kTest, kAlways, kNever };
  Kind kind = Kind::kTest;
  Condition condition;
};

class Argument {
 public:
  Argument(unsigned index, ArgType type)
      : index_(static_cast<uint8_t>(index)),
        bits_(static_cast<uint8_t>(ArgBits(type))),
        signed_(ArgIsSigned(type)),
        max_(bits_ == 64 ? UINT64_MAX : (uint64_t{1} << bits_) - 1) {}

  One Convert(const OciArg& arg) const {
    if (arg.op == OciOperator::kMaskedEq) return Masked(arg.value, arg.value_two);
    if (arg.value <= max_) return Compare(arg.op, arg.value);
    if (IsNegative(arg.value)) return Compare(arg.op, arg.value & max_);
    // Above whatever the argument can be.
    const bool holds =
        arg.op == OciOperator::kNe || arg.op == OciOperator::kLt || arg.op == OciOperator::kLe;
    return {holds ? One::Kind::kAlways : One::Kind::kNever, {}};
  }

 private:
  // A negative number of the argument's width, in all 64 bits.
  bool IsNegative(uint64_t value) const {
    return signed_ && (value | max_) == UINT64_MAX && (value >> (bits_ - 1) & 1) != 0;
  }

  Condition Base(Condition::Op op) const {
    Condition condition;
    condition.arg = index_;
    condition.bits = bits_;
    condition.op = op;
    return condition;
  }

  One Equal(uint64_t mask, uint64_t value, bool negated) const {
    Condition condition = Base(Condition::Op::kMasked);
    condition.mask = mask;
    condition.value = value;
    condition.negated = negated;
    return {One::Kind::kTest, condition};
  }

  One Between(uint64_t from, uint64_t to) const {
    if (from == 0 && to == max_) return {One::Kind::kAlways, {}};
    Condition condition = Base(Condition::Op::kRange);
    condition.from = from;
    condition.to = to;
    return {One::Kind::kTest, condition};
  }

  One Compare(OciOperator op, uint64_t value) const {
    switch (op) {
      case OciOperator::kEq:
      case OciOperator::kMaskedEq:
        return Equal(max_, value, false);
      case OciOperator::kNe:
        return Equal(max_, value, true);
      case OciOperator::kLt:
        return value == 0 ? One{One::Kind::kNever, {}} : Between(0, value - 1);
      case OciOperator::kLe:
        return Between(0, value);
      case OciOperator::kGe:
        return Between(value, max_);
      case OciOperator::kGt:
        return value == max_ ? One{One::Kind::kNever, {}} : Between(value + 1, max_);
    }
    return {One::Kind::kNever, {}};
  }

  // As libseccomp does, bits of the value outside the mask are left out of account.
  One Masked(uint64_t mask, uint64_t value) const {
    value &= mask;
    const uint64_t above = ~max_;
    const bool plain = (value & above) == 0;
    const bool negative = (mask & above) == above && IsNegative(mask) && IsNegative(value);
    if (!plain && !negative) return {One::Kind::kNever, {}};
    if ((mask & max_) == 0) return {One::Kind::kAlways, {}};
    return Equal(mask & max_, value & max_, false);
  }

  uint8_t index_;
  uint8_t bits_;
  bool signed_;
  uint64_t max_;
};

bool OneIsTestedTwice(const std::vector<OciArg>& args) {
  std::array<bool, kMaxSyscallArgs> seen{};
  return std::ranges::any_of(
      args, [&](const OciArg& arg) { return std::exchange(seen[arg.index], true); });
}

}  // namespace

OciTests ConvertOciTests(Arch arch, std::string_view call, const std::vector<OciArg>& args) {
  const SyscallArgList known = SyscallArgs(arch, call);
  std::vector<One> tests;
  for (const OciArg& arg : args) {
    if (arg.index >= known.size()) {
      return {{}, fmt::format("it has no argument {} to test", arg.index)};
    }
    if (known[arg.index].type == ArgType::kPointer) {
      return {
          {},
          fmt::format("its `{}` is a pointer, and tests of pointers are not part of the language",
                      known[arg.index].name)};
    }
    tests.push_back(Argument(arg.index, known[arg.index].type).Convert(arg));
  }
  OciTests result;
  if (OneIsTestedTwice(args)) {
    for (const One& test : tests) {
      if (test.kind == One::Kind::kAlways) return {{{}}, ""};
      if (test.kind == One::Kind::kTest) result.any.push_back({test.condition});
    }
    return result;
  }
  Conjunction all;
  for (const One& test : tests) {
    if (test.kind == One::Kind::kNever) return {};
    if (test.kind == One::Kind::kTest) all.push_back(test.condition);
  }
  return {{all}, ""};
}

}  // namespace bulkhead
