// SPDX-License-Identifier: Apache-2.0
// From policy rules to conditions: what each form of test comes to, and every mistake with its
// text.
#include "compiler/resolve_calls.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "compiler/arg_tests.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr Place kRulePlace{1, 10, 3, 4};
constexpr Place kTestPlace{1, 11, 5, 6};
constexpr Place kValuePlace{1, 12, 7, 8};

ArgValue Num(int64_t number) { return {"", number, kValuePlace}; }
ArgValue Name(std::string name) { return {std::move(name), 0, kValuePlace}; }

ArgTest Test(ArgTest::Kind kind, std::vector<ArgValue> values, std::vector<ArgTest> inner = {}) {
  return {kind, std::move(values), std::move(inner), kTestPlace};
}
ArgTest AnyOf(std::vector<ArgValue> values) {
  return Test(ArgTest::Kind::kAnyOf, std::move(values));
}
ArgTest Not(ArgTest inner) { return Test(ArgTest::Kind::kNot, {}, {std::move(inner)}); }

SyscallRule Rule(std::string name, ArgTests args = {}, std::optional<Arch> on = std::nullopt) {
  SyscallRule rule;
  rule.name = std::move(name);
  rule.args = std::move(args);
  rule.only_on = on;
  rule.at.place = kRulePlace;
  return rule;
}

Policy WithGroups(const std::vector<std::pair<std::string, std::vector<SyscallRule>>>& groups) {
  Policy policy;
  for (const auto& [name, calls] : groups) {
    SyscallGroup group;
    group.name = name;
    group.calls = calls;
    policy.groups.push_back(std::move(group));
  }
  return policy;
}

struct Resolved {
  std::vector<CallRule> rules;
  std::vector<Diagnostic> diagnostics;
};

Resolved Resolve(const Policy& policy, const std::vector<SyscallRule>& allow,
                 const std::vector<SyscallRule>& deny = {}, Arch arch = Arch::kX86_64) {
  Diagnostics diagnostics;
  Resolved resolved;
  resolved.rules = ResolveCalls(policy, allow, deny, arch, diagnostics);
  resolved.diagnostics = diagnostics.Sorted();
  return resolved;
}

// The one rule that one allowed call comes to, without a diagnostic.
CallRule One(SyscallRule rule) {
  const Resolved resolved = Resolve({}, {std::move(rule)});
  BOOST_REQUIRE(resolved.diagnostics.empty());
  BOOST_REQUIRE(resolved.rules.size() == 1U);
  return resolved.rules.front();
}

Condition Range(unsigned arg, unsigned bits, uint64_t from, uint64_t to) {
  Condition condition;
  condition.arg = static_cast<uint8_t>(arg);
  condition.bits = static_cast<uint8_t>(bits);
  condition.op = Condition::Op::kRange;
  condition.from = from;
  condition.to = to;
  return condition;
}

Condition Negated(Condition condition) {
  condition.negated = true;
  return condition;
}

void RequireAllow(const SyscallRule& rule, const std::vector<Conjunction>& expected) {
  BOOST_TEST((One(rule).allow == expected));
}

struct Mistake {
  std::string code;
  Place place;
  std::string message;
  std::string help;
};

void RequireMistake(const Resolved& resolved, const Mistake& expected) {
  BOOST_REQUIRE(resolved.diagnostics.size() == 1U);
  const Diagnostic& given = resolved.diagnostics.front();
  BOOST_TEST(given.code == expected.code);
  BOOST_TEST((given.place == expected.place));
  BOOST_TEST(given.message == expected.message);
  BOOST_TEST(given.help == expected.help);
  BOOST_TEST((given.severity == (expected.code[0] == 'E' ? Severity::kError : Severity::kNote)));
}

void RequireMistake(SyscallRule rule, const Mistake& expected) {
  const Resolved resolved = Resolve({}, {std::move(rule)});
  RequireMistake(resolved, expected);
  BOOST_TEST(resolved.rules.empty());
}

BOOST_AUTO_TEST_SUITE(CallResolution)

BOOST_AUTO_TEST_CASE(CallsByNumber) {
  const Resolved resolved = Resolve({}, {Rule("write"), Rule("read"), Rule("write")});
  const std::vector<CallRule> expected{{0, {{}}, {}}, {1, {{}}, {}}};
  BOOST_TEST((resolved.rules == expected));
  BOOST_TEST(resolved.diagnostics.empty());
}

BOOST_AUTO_TEST_CASE(EntriesOfACallAreAlternatives) {
  const SyscallRule first = Rule("fcntl", {{"cmd", AnyOf({Num(3), Num(1)})}});
  const SyscallRule second = Rule("fcntl", {{"cmd", AnyOf({Num(1)})}});
  const Resolved resolved = Resolve({}, {first, second});
  const std::vector<Conjunction> expected{{Equal(1, 32, 1)}, {Equal(1, 32, 3)}};
  BOOST_TEST((resolved.rules.front().allow == expected));
  BOOST_TEST(
      (Resolve({}, {first, Rule("fcntl")}).rules.front().allow == std::vector<Conjunction>{{}}));
}

BOOST_AUTO_TEST_CASE(ArgumentsOfAnEntryAllHold) {
  RequireAllow(Rule("socket", {{"domain", AnyOf({Name("AF_UNIX"), Name("AF_INET")})},
                               {"protocol", AnyOf({Num(0)})}}),
               {{Equal(0, 32, 1), Equal(2, 32, 0)}, {Equal(0, 32, 2), Equal(2, 32, 0)}});
}

BOOST_AUTO_TEST_CASE(Bits) {
  const auto set = ArgTest::Kind::kBitsSet;
  const auto clear = ArgTest::Kind::kBitsClear;
  RequireAllow(Rule("mmap", {{"prot", Test(clear, {Name("PROT_EXEC")})}}),
               {{MaskedEqual(2, 64, 4, 0)}});
  RequireAllow(Rule("mmap", {{"prot", Test(set, {Num(1), Num(2)}, {Test(clear, {Num(4)})})}}),
               {{MaskedEqual(2, 64, 3, 3), MaskedEqual(2, 64, 4, 0)}});
  RequireAllow(Rule("mmap", {{"prot", Not(Test(set, {Num(1)}, {Test(clear, {Num(4)})}))}}),
               {{Negated(MaskedEqual(2, 64, 1, 1))}, {Negated(MaskedEqual(2, 64, 4, 0))}});
}

BOOST_AUTO_TEST_CASE(MaskAndRange) {
  RequireAllow(
      Rule("ioctl", {{"request", Test(ArgTest::Kind::kMaskEquals, {Num(0xff00), Num(0x5400)})}}),
      {{MaskedEqual(1, 32, 0xff00, 0x5400)}});
  RequireAllow(Rule("ioctl", {{"request", Test(ArgTest::Kind::kRange, {Num(5), Num(9)})}}),
               {{Range(1, 32, 5, 9)}});
}

BOOST_AUTO_TEST_CASE(NotIsDeMorgan) {
  RequireAllow(Rule("ioctl", {{"request", Not(AnyOf({Num(1), Num(2)}))}}),
               {{Negated(Equal(1, 32, 1)), Negated(Equal(1, 32, 2))}});
  RequireAllow(Rule("ioctl", {{"request", Not(Not(AnyOf({Num(1), Num(2)})))}}),
               {{Equal(1, 32, 1)}, {Equal(1, 32, 2)}});
}

BOOST_AUTO_TEST_CASE(SignedArguments) {
  // Cut to what the kernel reads, so the high half is anybody's.
  RequireAllow(Rule("openat", {{"dirfd", AnyOf({Num(-100)})}}), {{Equal(0, 32, 0xffffff9c)}});
  RequireAllow(Rule("openat", {{"dirfd", AnyOf({Name("AT_FDCWD")})}}),
               {{Equal(0, 32, 0xffffff9c)}});
  RequireAllow(Rule("lseek", {{"offset", AnyOf({Num(-1)})}}), {{Equal(1, 64, UINT64_MAX)}});
  RequireAllow(Rule("kill", {{"pid", Test(ArgTest::Kind::kRange, {Num(-5), Num(5)})}}),
               {{Range(0, 32, 0, 5)}, {Range(0, 32, 0xfffffffb, 0xffffffff)}});
  RequireAllow(Rule("kill", {{"pid", Test(ArgTest::Kind::kRange, {Num(-5), Num(-2)})}}),
               {{Range(0, 32, 0xfffffffb, 0xfffffffe)}});
}

BOOST_AUTO_TEST_CASE(Groups) {
  const Policy policy =
      WithGroups({{"inner", {Rule("write"), Rule("ioctl", {{"request", AnyOf({Num(1)})}})}},
                  {"outer", {Rule("read"), Rule("@inner"), Rule("@inner")}}});
  const Resolved resolved = Resolve(policy, {Rule("@outer"), Rule("@inner")}, {Rule("@inner")});
  BOOST_TEST(resolved.diagnostics.empty());
  const std::vector<CallRule> expected{
      {0, {{}}, {}}, {1, {{}}, {{}}}, {16, {{Equal(1, 32, 1)}}, {{}}}};
  // Denied, a call of a group is denied whole: its tests say how much the group gives.
  BOOST_TEST((resolved.rules == expected));
}

BOOST_AUTO_TEST_CASE(OnlyOnOneArchitecture) {
  const std::vector<SyscallRule> rules{Rule("read"), Rule("open", {}, Arch::kX86_64)};
  BOOST_TEST(Resolve({}, rules).rules.size() == 2U);
  const Resolved other = Resolve({}, rules, {}, Arch::kAarch64);
  BOOST_TEST(other.diagnostics.empty());
  BOOST_TEST((other.rules == std::vector<CallRule>{{63, {{}}, {}}}));
}

BOOST_AUTO_TEST_CASE(DroppedFromAGroupWithANote) {
  const Policy policy = WithGroups({{"files", {Rule("open"), Rule("openat")}}});
  const Resolved resolved = Resolve(policy, {Rule("@files")}, {}, Arch::kAarch64);
  BOOST_TEST((resolved.rules == std::vector<CallRule>{{56, {{}}, {}}}));
  RequireMistake(resolved,
                 {"N0501", kRulePlace, "aarch64 has no `open`: left out of `@files`", ""});
}

BOOST_AUTO_TEST_CASE(MergingKeepsDenials) {
  const Resolved denied = Resolve({}, {Rule("read")}, {Rule("connect"), Rule("ptrace")});
  BOOST_TEST(denied.rules.size() == 3U);
  std::vector<CallRule> rules = denied.rules;
  rules.push_back(MakeRule(Arch::kX86_64, "connect", {{}}));
  BOOST_TEST((MergeRules(rules) == std::vector<CallRule>{{0, {{}}, {}}}));
  rules.push_back({0, {{Equal(0, 32, 7)}}, {{Equal(0, 32, 1), Equal(0, 32, 0), Equal(0, 32, 1)}}});
  const std::vector<CallRule> expected{{0, {{}}, {{Equal(0, 32, 0), Equal(0, 32, 1)}}}};
  BOOST_TEST((MergeRules(rules) == expected));
}

BOOST_AUTO_TEST_CASE(RuleOrderDoesNotMatter) {
  const SyscallRule a = Rule("fcntl", {{"cmd", AnyOf({Num(3), Num(1)})}});
  const SyscallRule b = Rule("fcntl", {{"cmd", AnyOf({Num(2)})}});
  const SyscallRule c = Rule("read");
  BOOST_TEST((Resolve({}, {a, b, c}).rules == Resolve({}, {c, b, a}).rules));
}

BOOST_AUTO_TEST_CASE(UnknownCall) {
  RequireMistake(Rule("opnat"),
                 {"E0501", kRulePlace, "`opnat` is not a system call", "did you mean `openat`?"});
  RequireMistake(Rule("frobnicate_all"),
                 {"E0501", kRulePlace, "`frobnicate_all` is not a system call",
                  "known are those of Linux up to 7.2"});
}

BOOST_AUTO_TEST_CASE(UnknownGroup) {
  const Policy policy = WithGroups({{"service", {Rule("read")}}});
  RequireMistake(
      Resolve(policy, {Rule("@servce")}),
      {"E0502", kRulePlace, "`@servce` is not a group of system calls", "did you mean `service`?"});
  RequireMistake(Resolve({}, {}, {Rule("@service")}),
                 {"E0502", kRulePlace, "`@service` is not a group of system calls",
                  "groups are those shipped and those of `groups:`"});
}

BOOST_AUTO_TEST_CASE(GroupCycle) {
  const Policy policy =
      WithGroups({{"a", {Rule("@b")}}, {"b", {Rule("read"), Rule("@c")}}, {"c", {Rule("@b")}}});
  RequireMistake(Resolve(policy, {Rule("@a")}),
                 {"E0503", kRulePlace, "`@b` contains itself", "@b -> @c -> @b"});
}

BOOST_AUTO_TEST_CASE(CallOfAnotherArchitecture) {
  const Mistake mistake{"E0504", kRulePlace, "aarch64 has no `open`",
                        "put it under `on`, with the architecture that has it, or use a group"};
  RequireMistake(Resolve({}, {Rule("open")}, {}, Arch::kAarch64), mistake);
  RequireMistake(Resolve({}, {}, {Rule("open")}, Arch::kAarch64), mistake);
}

BOOST_AUTO_TEST_CASE(UnknownArgument) {
  RequireMistake(
      Rule("ioctl", {{"reqest", AnyOf({Num(1)})}}),
      {"E0505", kTestPlace, "`ioctl` has no argument `reqest`", "did you mean `request`?"});
  RequireMistake(
      Rule("close", {{"descriptor", AnyOf({Num(1)})}}),
      {"E0505", kTestPlace, "`close` has no argument `descriptor`", "its arguments: fd"});
  RequireMistake(Rule("getpid", {{"x", AnyOf({Num(1)})}}),
                 {"E0505", kTestPlace, "`getpid` has no argument `x`", "it has no arguments"});
}

BOOST_AUTO_TEST_CASE(PointerArgument) {
  RequireMistake(Rule("openat", {{"pathname", AnyOf({Num(1)})}}),
                 {"E0506", kTestPlace, "`pathname` of `openat` is a pointer",
                  "a filter sees the address only, and what is there can change after the test: "
                  "leave it out"});
}

BOOST_AUTO_TEST_CASE(UnknownConstant) {
  RequireMistake(
      Rule("ioctl", {{"request", AnyOf({Name("TCGETZ")})}}),
      {"E0507", kValuePlace, "`TCGETZ` is not a known constant", "did you mean `TCGETS`?"});
  RequireMistake(Rule("ioctl", {{"request", AnyOf({Name("QQQQQQQQQQQQQQ")})}}),
                 {"E0507", kValuePlace, "`QQQQQQQQQQQQQQ` is not a known constant",
                  "use the number that the kernel's headers give it"});
}

BOOST_AUTO_TEST_CASE(ConstantOfAnotherArchitecture) {
  const SyscallRule rule =
      Rule("mmap", {{"flags", Test(ArgTest::Kind::kBitsClear, {Name("MAP_32BIT")})}});
  BOOST_TEST(Resolve({}, {rule}).diagnostics.empty());
  RequireMistake(Resolve({}, {rule}, {}, Arch::kAarch64),
                 {"E0508", kValuePlace, "aarch64 has no constant `MAP_32BIT`",
                  "put the call under `on`, with the architecture that has it"});
}

void RequireOutOfRange(const std::string& call, const std::string& arg, ArgTest test,
                       const std::string& text, const std::string& help) {
  const std::string message = "`" + text + "` is out of range for `" + arg + "` of `" + call + "`";
  RequireMistake(Rule(call, {{arg, std::move(test)}}), {"E0509", kValuePlace, message, help});
}

BOOST_AUTO_TEST_CASE(OutOfRange) {
  const std::string i32 = "the kernel reads a signed 32-bit number, -2147483648 to 2147483647";
  RequireOutOfRange("ioctl", "request", AnyOf({Num(int64_t{1} << 32)}), "4294967296",
                    "the kernel reads an unsigned 32-bit number, 0 to 4294967295");
  RequireOutOfRange("ioctl", "request", AnyOf({Num(-1)}), "-1",
                    "the kernel reads an unsigned 32-bit number, 0 to 4294967295");
  RequireOutOfRange("kill", "pid", AnyOf({Num(int64_t{1} << 31)}), "2147483648", i32);
  const ArgValue wide{"", -1, kValuePlace, true};  // UINT64_MAX
  RequireOutOfRange("kill", "pid", AnyOf({wide}), "18446744073709551615", i32);
  RequireOutOfRange("lseek", "offset", AnyOf({wide}), "18446744073709551615",
                    "the kernel reads a signed 64-bit number");
  RequireOutOfRange("kill", "pid", AnyOf({Num(-(int64_t{1} << 31) - 1)}), "-2147483649", i32);
  RequireOutOfRange("mmap", "length", AnyOf({Num(-1)}), "-1",
                    "the kernel reads an unsigned 64-bit number, 0 and above");
  RequireOutOfRange("chmod", "mode", AnyOf({Num(65536)}), "65536",
                    "the kernel reads an unsigned 16-bit number, 0 to 65535");
  RequireOutOfRange("chmod", "mode", AnyOf({Name("CLONE_NEWUSER")}), "CLONE_NEWUSER",
                    "the kernel reads an unsigned 16-bit number, 0 to 65535");
  // The last of each range is in it; bits may be written as the unsigned number.
  One(Rule("ioctl", {{"request", AnyOf({Num(0xffffffff)})}}));
  One(Rule("kill", {{"pid", AnyOf({Num(INT32_MIN), Num(INT32_MAX)})}}));
  One(Rule("chmod", {{"mode", AnyOf({Num(65535)})}}));
  One(Rule("lseek", {{"offset", AnyOf({Num(INT64_MIN), Num(INT64_MAX)})}}));
  RequireAllow(Rule("kill", {{"sig", Test(ArgTest::Kind::kBitsClear, {Num(0xffffffc0)})}}),
               {{MaskedEqual(1, 32, 0xffffffc0, 0)}});
}

BOOST_AUTO_TEST_CASE(EmptyRange) {
  const Mistake mistake{"E0510", kTestPlace, "this range is empty",
                        "`from` must not be above `to`"};
  RequireMistake(Rule("ioctl", {{"request", Test(ArgTest::Kind::kRange, {Num(2), Num(1)})}}),
                 mistake);
  RequireMistake(Rule("kill", {{"pid", Test(ArgTest::Kind::kRange, {Num(2), Num(-1)})}}), mistake);
}

BOOST_AUTO_TEST_CASE(MaskThatNeverHolds) {
  RequireMistake(
      Rule("ioctl", {{"request", Test(ArgTest::Kind::kMaskEquals, {Num(0xf0), Num(0x11)})}}),
      {"E0511", kValuePlace, "this test can never hold",
       "`equals` has bits that `mask` takes away"});
}

BOOST_AUTO_TEST_CASE(TooManyCases) {
  std::vector<ArgValue> values;
  for (int64_t i = 0; i < 33; ++i) values.push_back(Num(i));
  RequireMistake(Rule("socket", {{"domain", AnyOf(values)}, {"type", AnyOf(values)}}),
                 {"E0512", kRulePlace, "the tests of `socket` have too many cases",
                  "at most 1024 combinations of alternatives"});
  std::vector<ArgValue> fewer(values.begin(), values.begin() + 31);
  BOOST_TEST(
      One(Rule("socket", {{"domain", AnyOf(values)}, {"type", AnyOf(fewer)}})).allow.size() ==
      1023U);

  // Each negation of two bits is a choice of two.
  const ArgTest choice =
      Not(Test(ArgTest::Kind::kBitsSet, {Num(1)}, {Test(ArgTest::Kind::kBitsClear, {Num(2)})}));
  ArgTest nested = Test(ArgTest::Kind::kBitsSet, {Num(4)}, std::vector<ArgTest>(10, choice));
  BOOST_TEST(One(Rule("ioctl", {{"request", nested}})).allow.size() <= kMaxConjunctions);
  nested.inner.push_back(choice);
  const Resolved resolved = Resolve({}, {Rule("ioctl", {{"request", nested}})});
  RequireMistake(resolved, {"E0512", kTestPlace, "the test of `request` has too many cases",
                            "at most 1024 combinations of alternatives"});
}

BOOST_AUTO_TEST_CASE(TestWithoutValues) {
  const Mistake mistake{"E0513", kTestPlace, "the test of `request` names no value",
                        "name one at least, or leave the argument out: it may then be anything"};
  for (const auto kind : {ArgTest::Kind::kAnyOf, ArgTest::Kind::kBitsSet, ArgTest::Kind::kRange,
                          ArgTest::Kind::kMaskEquals, ArgTest::Kind::kNot}) {
    RequireMistake(Rule("ioctl", {{"request", Test(kind, {})}}), mistake);
  }
}

BOOST_AUTO_TEST_CASE(GroupWithArguments) {
  const Policy policy = WithGroups({{"io", {Rule("read")}}});
  const Resolved resolved = Resolve(policy, {Rule("@io", {{"fd", AnyOf({Num(1)})}})});
  RequireMistake(resolved, {"E0514", kRulePlace, "arguments of `@io` can't be tested",
                            "it is a group: name the call, and its arguments, by itself"});
  BOOST_TEST(resolved.rules.empty());
}

// To allow it changes nothing, and other launchers' profiles do.
BOOST_AUTO_TEST_CASE(DenyingWhatPassesByFilters) {
  const Resolved denied = Resolve({}, {}, {Rule("uretprobe")});
  RequireMistake(denied, {"E0515", kRulePlace, "`uretprobe` can't be denied",
                          "the kernel asks no filter about it, and runs it only in trampolines of "
                          "its own: leave it out"});
  BOOST_TEST(denied.rules.empty());
  BOOST_TEST(Resolve({}, {Rule("uretprobe")}).diagnostics.empty());
}

// A rule with a mistake in it allows nothing, whatever else it says.
BOOST_AUTO_TEST_CASE(AllMistakesAreFound) {
  const Resolved resolved = Resolve(
      {}, {Rule("opnat"),
           Rule("ioctl", {{"request", AnyOf({Num(1), Num(-1)})}, {"argp", AnyOf({Num(1)})}})});
  BOOST_TEST(resolved.diagnostics.size() == 3U);
  BOOST_TEST(resolved.rules.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
