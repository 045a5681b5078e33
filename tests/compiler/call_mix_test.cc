// SPDX-License-Identifier: Apache-2.0
// The built-in mix and recordings of others.
#include "compiler/call_mix.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

uint64_t Sum(const CallMix& mix) {
  uint64_t sum = 0;
  for (const MixedCall& call : mix) sum += call.weight;
  return sum;
}

uint64_t WeightOf(const CallMix& mix, Arch arch, std::string_view name) {
  const uint32_t nr = SyscallNumber(arch, name).value();
  uint64_t sum = 0;
  for (const MixedCall& call : mix) sum += call.nr == nr ? call.weight : 0;
  return sum;
}

BOOST_AUTO_TEST_SUITE(CallMixes)

BOOST_AUTO_TEST_CASE(TheBuiltInOneIsOfEveryArchitecture) {
  for (const Arch arch : {Arch::kX86_64, Arch::kAarch64}) {
    const CallMix mix = DefaultCallMix(arch);
    BOOST_TEST(mix.size() > 100U);
    BOOST_TEST(std::ranges::is_sorted(mix));
    BOOST_TEST(Sum(mix) <= kMixTotal);
    BOOST_TEST(Sum(mix) > kMixTotal - 1000);
    for (const MixedCall& call : mix) BOOST_TEST(!SyscallName(arch, call.nr).empty());
    for (const auto* name : {"read", "write", "openat", "clone", "socket"}) {
      BOOST_TEST(WeightOf(mix, arch, name) > 0U, name);
    }
  }
  // access is no call of aarch64: its share counts for what libraries make instead.
  BOOST_TEST(WeightOf(DefaultCallMix(Arch::kAarch64), Arch::kAarch64, "faccessat") >=
             WeightOf(DefaultCallMix(Arch::kX86_64), Arch::kX86_64, "access"));
}

BOOST_AUTO_TEST_CASE(ARecordingIsRead) {
  const CallMix mix = ParseCallMix(
                          "gcc 0.5 9 0 8192 3 34 4294967295 0\nredis 2.5e-01 1 0 0 0 0 0 0\n"
                          "gcc 0.25 9 0 8192 3 34 4294967295 0\n")
                          .value();
  BOOST_REQUIRE(mix.size() == 2U);
  BOOST_TEST(mix[0].nr == 1U);
  BOOST_TEST(mix[0].weight == kMixTotal / 4);
  BOOST_TEST(mix[1].nr == 9U);
  BOOST_TEST(mix[1].weight == kMixTotal / 4 * 3);
  BOOST_TEST(mix[1].args[4] == 4294967295U);
  // Whatever the scale, and without the last line's end.
  BOOST_TEST((ParseCallMix("a 4 1 0 0 0 0 0 0\nb 12 9 0 8192 3 34 4294967295 0").value() == mix));
}

BOOST_AUTO_TEST_CASE(TheOrderOfLinesDoesNotMatter) {
  std::vector<std::string> lines;
  lines.reserve(50);
  for (int i = 0; i < 50; ++i) {
    lines.push_back("p " + std::to_string(0.37 * i) + " " + std::to_string(i * 7 % 20) + " 0 " +
                    std::to_string(i % 3) + " 0 0 0 0\n");
  }
  const auto join = [&] {
    std::string text;
    for (const std::string& line : lines) text += line;
    return ParseCallMix(text).value();
  };
  const CallMix mix = join();
  std::ranges::reverse(lines);
  BOOST_TEST((join() == mix));
}

BOOST_AUTO_TEST_CASE(WhatIsNoRecordingIsRefused) {
  const std::string good = "gcc 0.5 9 0 0 0 0 0 0\n";
  BOOST_TEST(ParseCallMix(good).has_value());
  const auto refused = [&](const std::string& line) {
    const auto mix = ParseCallMix(good + line);
    BOOST_REQUIRE_MESSAGE(!mix.has_value(), line);
    BOOST_TEST(mix.error() == "line 2 is not `program weight nr arg0 arg1 arg2 arg3 arg4 arg5`",
               line);
  };
  for (const auto* line :
       {"gcc 0.5 9 0 0 0 0 0", "gcc 0.5 9 0 0 0 0 0 0 0", "gcc 0.5 9 0 0 0 0 0 0 ",
        "gcc -0.5 9 0 0 0 0 0 0", "gcc nan 9 0 0 0 0 0 0", "gcc inf 9 0 0 0 0 0 0",
        "gcc 1e9 9 0 0 0 0 0 0", "gcc 0.5 -1 0 0 0 0 0 0", "gcc 0.5 4294967296 0 0 0 0 0 0",
        "gcc 0.5 0x9 0 0 0 0 0 0", "gcc 0.5 read 0 0 0 0 0 0", "gcc  0.5 9 0 0 0 0 0 0",
        "gcc 0.5 9 18446744073709551616 0 0 0 0 0", "\n", " 0.5 9 0 0 0 0 0 0"}) {
    refused(line);
  }
  BOOST_TEST(ParseCallMix("").error() == "has no call with a weight above 0");
  BOOST_TEST(ParseCallMix("a 0 1 0 0 0 0 0 0\n").error() == "has no call with a weight above 0");
}

BOOST_AUTO_TEST_CASE(TheBitmapCameWith511) {
  BOOST_TEST((WeighingFor(4, 14) == Weighing::kAll));
  BOOST_TEST((WeighingFor(5, 10) == Weighing::kAll));
  BOOST_TEST((WeighingFor(5, 11) == Weighing::kUncached));
  BOOST_TEST((WeighingFor(6, 1) == Weighing::kUncached));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
