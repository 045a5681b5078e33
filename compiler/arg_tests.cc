// SPDX-License-Identifier: Apache-2.0
#include "compiler/arg_tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "compiler/constants.h"
#include "policy/text.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Alternatives = std::vector<Conjunction>;  // one must hold

struct Argument {
  Arch arch;
  std::string_view call;
  uint8_t index;
  ArgInfo info;

  unsigned Bits() const { return ArgBits(info.type); }
  bool IsSigned() const { return ArgIsSigned(info.type); }
  uint64_t Cut(uint64_t value) const {
    return Bits() == 64 ? value : value & ((uint64_t{1} << Bits()) - 1);
  }
  uint64_t Max() const { return Cut(UINT64_MAX); }
  uint64_t SignBit() const { return uint64_t{1} << (Bits() - 1); }
};

std::string_view TypeText(ArgType type) {
  switch (type) {
    case ArgType::kI32:
      return "a signed 32-bit number, -2147483648 to 2147483647";
    case ArgType::kU32:
      return "an unsigned 32-bit number, 0 to 4294967295";
    case ArgType::kI64:
      return "a signed 64-bit number";
    case ArgType::kU64:
      return "an unsigned 64-bit number, 0 and above";
    case ArgType::kU16:
      return "an unsigned 16-bit number, 0 to 65535";
    case ArgType::kPointer:
      return "a pointer";
  }
  return "";
}

// Both of two sets of alternatives; nullopt: more than kMaxConjunctions.
std::optional<Alternatives> Both(const Alternatives& left, const Alternatives& right) {
  if (left.size() * right.size() > kMaxConjunctions) return std::nullopt;
  Alternatives result;
  for (const Conjunction& a : left) {
    for (const Conjunction& b : right) {
      Conjunction both = a;
      std::ranges::copy(b, std::back_inserter(both));
      result.push_back(std::move(both));
    }
  }
  return result;
}

// By De Morgan: of each conjunction at least one condition fails.
std::optional<Alternatives> Negated(const Alternatives& alternatives) {
  std::optional<Alternatives> result = Alternatives{{}};
  for (const Conjunction& conjunction : alternatives) {
    Alternatives fails;
    for (Condition condition : conjunction) {
      condition.negated = !condition.negated;
      fails.push_back({condition});
    }
    result = Both(*result, fails);
    if (!result) return std::nullopt;
  }
  return result;
}

// Converts the test of one argument. After an error the value is nullopt and the diagnostic given.
class TestConverter {
 public:
  TestConverter(const Argument& argument, Diagnostics& diagnostics)
      : argument_(argument), diagnostics_(diagnostics) {}

  // Recursion is as deep as the test is nested, which the reader of the policy bounds.
  std::optional<Alternatives> Convert(const ArgTest& test) {
    switch (test.kind) {
      case ArgTest::Kind::kAnyOf:
        return AnyOf(test);
      case ArgTest::Kind::kBitsClear:
      case ArgTest::Kind::kBitsSet:
        return Bits(test);
      case ArgTest::Kind::kMaskEquals:
        return MaskEquals(test);
      case ArgTest::Kind::kRange:
        return InRange(test);
      case ArgTest::Kind::kNot:
        return Not(test);
    }
    return std::nullopt;
  }

 private:
  // A pattern of bits may be written as the unsigned number that it also is.
  enum class Use : uint8_t { kNumber, kBits };

  Condition Base(Condition::Op op) const {
    Condition condition;
    condition.arg = argument_.index;
    condition.bits = static_cast<uint8_t>(argument_.Bits());
    condition.op = op;
    return condition;
  }

  Condition Masked(uint64_t mask, uint64_t value) const {
    Condition condition = Base(Condition::Op::kMasked);
    condition.mask = mask;
    condition.value = value;
    return condition;
  }

  Condition Between(uint64_t from, uint64_t to) const {
    Condition condition = Base(Condition::Op::kRange);
    condition.from = from;
    condition.to = to;
    return condition;
  }

  std::optional<Alternatives> Error(const Place& place, std::string_view code, std::string message,
                                    std::string help) {
    diagnostics_.Error(place, code, std::move(message), std::move(help));
    return std::nullopt;
  }

  std::optional<uint64_t> OutOfRange(const ArgValue& value, const std::string& text) {
    Error(value.place, "E0509",
          fmt::format("{} is out of range for {} of {}", Quoted(text), Quoted(argument_.info.name),
                      Quoted(argument_.call)),
          fmt::format("the kernel reads {}", TypeText(argument_.info.type)));
    return std::nullopt;
  }

  std::optional<uint64_t> Number(const ArgValue& value, Use use) {
    const unsigned bits = argument_.Bits();
    const bool as_signed = argument_.IsSigned() && use == Use::kNumber;
    if (value.wide) {
      const auto number = static_cast<uint64_t>(value.number);
      if (bits == 64 && !as_signed) return number;
      return OutOfRange(value, fmt::to_string(number));
    }
    // What is written is an int64_t: it always fits in a signed argument of 64 bits.
    const int64_t low = !argument_.IsSigned() ? 0
                        : bits == 64          ? INT64_MIN
                                              : -(int64_t{1} << (bits - 1));
    const int64_t high = bits == 64 ? INT64_MAX : (int64_t{1} << (as_signed ? bits - 1 : bits)) - 1;
    if (value.number < low || value.number > high) {
      return OutOfRange(value, fmt::to_string(value.number));
    }
    return argument_.Cut(static_cast<uint64_t>(value.number));
  }

  std::optional<uint64_t> Named(const ArgValue& value) {
    const auto constant = ConstantValue(argument_.arch, value.name);
    if (!constant) {
      MissingConstant(value);
      return std::nullopt;
    }
    const uint64_t cut = argument_.Cut(*constant);
    const uint64_t above = ~argument_.Max();
    const bool negative = (cut & argument_.SignBit()) != 0 && *constant == (cut | above);
    if (cut != *constant && !negative) return OutOfRange(value, value.name);
    return cut;
  }

  void MissingConstant(const ArgValue& value) {
    if (IsKnownConstant(value.name)) {
      Error(value.place, "E0508",
            fmt::format("{} has no constant {}", ArchName(argument_.arch), Quoted(value.name)),
            "put the call under `on`, with the architecture that has it");
      return;
    }
    std::vector<std::string_view> names;
    for (const Constant& constant : AllConstants()) names.push_back(constant.name);
    const auto meant = Nearest(value.name, names);
    Error(value.place, "E0507", fmt::format("{} is not a known constant", Quoted(value.name)),
          meant ? fmt::format("did you mean `{}`?", *meant)
                : "use the number that the kernel's headers give it");
  }

  std::optional<uint64_t> Value(const ArgValue& value, Use use) {
    return value.name.empty() ? Number(value, use) : Named(value);
  }

  std::optional<Alternatives> Empty(const ArgTest& test) {
    return Error(test.place, "E0513",
                 fmt::format("the test of {} names no value", Quoted(argument_.info.name)),
                 "name one at least, or leave the argument out: it may then be anything");
  }

  std::optional<Alternatives> TooMany(const ArgTest& test) {
    return Error(test.place, "E0512",
                 fmt::format("the test of {} has too many cases", Quoted(argument_.info.name)),
                 fmt::format("at most {} combinations of alternatives", kMaxConjunctions));
  }

  std::optional<Alternatives> AnyOf(const ArgTest& test) {
    if (test.values.empty()) return Empty(test);
    Alternatives result;
    bool good = true;
    for (const ArgValue& item : test.values) {
      const auto value = Value(item, Use::kNumber);
      good = good && value.has_value();
      if (value) result.push_back({Masked(argument_.Max(), *value)});
    }
    return good ? std::optional(std::move(result)) : std::nullopt;
  }

  std::optional<Alternatives> Bits(const ArgTest& test) {
    if (test.values.empty()) return Empty(test);
    uint64_t bits = 0;
    bool good = true;
    for (const ArgValue& item : test.values) {
      const auto value = Value(item, Use::kBits);
      good = good && value.has_value();
      bits |= value.value_or(0);
    }
    const uint64_t wanted = test.kind == ArgTest::Kind::kBitsSet ? bits : 0;
    std::optional<Alternatives> result = Alternatives{{Masked(bits, wanted)}};
    for (const ArgTest& inner : test.inner) {
      const auto also = Convert(inner);
      good = good && also.has_value();
      if (!good) continue;
      result = Both(*result, *also);
      if (!result) return TooMany(test);
    }
    return good ? result : std::nullopt;
  }

  std::optional<Alternatives> MaskEquals(const ArgTest& test) {
    if (test.values.size() != 2) return Empty(test);
    const auto mask = Value(test.values[0], Use::kBits);
    const auto equals = Value(test.values[1], Use::kBits);
    if (!mask || !equals) return std::nullopt;
    if ((*equals & ~*mask) != 0) {
      return Error(test.values[1].place, "E0511", "this test can never hold",
                   "`equals` has bits that `mask` takes away");
    }
    return Alternatives{{Masked(*mask, *equals)}};
  }

  std::optional<Alternatives> InRange(const ArgTest& test) {
    if (test.values.size() != 2) return Empty(test);
    const auto from = Value(test.values[0], Use::kNumber);
    const auto to = Value(test.values[1], Use::kNumber);
    if (!from || !to) return std::nullopt;
    // With the sign bit turned round, unsigned order is signed order.
    const uint64_t flip = argument_.IsSigned() ? argument_.SignBit() : 0;
    if ((*from ^ flip) > (*to ^ flip)) {
      return Error(test.place, "E0510", "this range is empty", "`from` must not be above `to`");
    }
    if (*from <= *to) return Alternatives{{Between(*from, *to)}};
    return Alternatives{{Between(0, *to)}, {Between(*from, argument_.Max())}};
  }

  std::optional<Alternatives> Not(const ArgTest& test) {
    if (test.inner.size() != 1) return Empty(test);
    const auto inner = Convert(test.inner.front());
    if (!inner) return std::nullopt;
    auto result = Negated(*inner);
    return result ? std::move(result) : TooMany(test);
  }

  const Argument& argument_;
  Diagnostics& diagnostics_;
};

std::string ArgumentHelp(const SyscallArgList& args, std::string_view name) {
  if (args.empty()) return "it has no arguments";
  std::vector<std::string_view> names;
  for (const ArgInfo& info : args) names.push_back(info.name);
  if (const auto meant = Nearest(name, names)) return fmt::format("did you mean `{}`?", *meant);
  return fmt::format("its arguments: {}", fmt::join(names, ", "));
}

std::optional<Argument> FindArgument(Arch arch, std::string_view call, std::string_view name,
                                     const Place& place, Diagnostics& diagnostics) {
  const SyscallArgList args = SyscallArgs(arch, call);
  const auto index = args.Find(name);
  if (!index) {
    diagnostics.Error(place, "E0505",
                      fmt::format("{} has no argument {}", Quoted(call), Quoted(name)),
                      ArgumentHelp(args, name));
    return std::nullopt;
  }
  if (args[*index].type == ArgType::kPointer) {
    diagnostics.Error(place, "E0506",
                      fmt::format("{} of {} is a pointer", Quoted(name), Quoted(call)),
                      "a filter sees the address only, and what is there can change after the "
                      "test: leave it out");
    return std::nullopt;
  }
  return Argument{arch, call, static_cast<uint8_t>(*index), args[*index]};
}

}  // namespace

std::optional<std::vector<Conjunction>> ConvertTests(Arch arch, std::string_view call,
                                                     const ArgTests& tests, const Place& place,
                                                     Diagnostics& diagnostics) {
  std::optional<Alternatives> result = Alternatives{{}};
  bool good = true;
  for (const auto& [name, test] : tests) {
    const auto argument = FindArgument(arch, call, name, test.place, diagnostics);
    const auto converted =
        argument ? TestConverter(*argument, diagnostics).Convert(test) : std::nullopt;
    good = good && converted.has_value();
    if (!good) continue;
    result = Both(*result, *converted);
    if (!result) {
      diagnostics.Error(place, "E0512",
                        fmt::format("the tests of {} have too many cases", Quoted(call)),
                        fmt::format("at most {} combinations of alternatives", kMaxConjunctions));
      return std::nullopt;
    }
  }
  return good ? result : std::nullopt;
}

}  // namespace bulkhead
