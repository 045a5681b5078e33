// SPDX-License-Identifier: Apache-2.0
#include "sandbox/few_calls.h"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <vector>

#include "profiles/arch.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

BOOST_AUTO_TEST_SUITE(FewCalls)

uint32_t Answer(const Filter& filter, Arch arch, uint32_t nr) {
  return Evaluate(filter, {.nr = nr, .arch = AuditArch(arch)}).action;
}

void PassesThoseAlone(const std::vector<long>& calls) {
  const Filter filter = AllowFewCalls(calls);
  const Arch other = NativeArch() == Arch::kX86_64 ? Arch::kAarch64 : Arch::kX86_64;
  for (uint32_t nr = 0; nr < 1024; ++nr) {
    const bool given = std::find(calls.begin(), calls.end(), nr) != calls.end();
    BOOST_TEST(Answer(filter, NativeArch(), nr) == (given ? kRetAllow : kRetKillProcess));
    BOOST_TEST(Answer(filter, other, nr) == kRetKillProcess);
    BOOST_TEST(Answer(filter, NativeArch(), nr | 0x40000000) == kRetKillProcess);  // x32
  }
  BOOST_TEST(Answer(filter, NativeArch(), UINT32_MAX) == kRetKillProcess);
}

BOOST_AUTO_TEST_CASE(TheCallsOfTheListPassAndNoOther) {
  PassesThoseAlone({0, 1, 60, 231, 449});
  PassesThoseAlone({500});
  PassesThoseAlone({});
}

BOOST_AUTO_TEST_CASE(TheLongestListThatAJumpReaches) {
  std::vector<long> calls;
  for (long nr = 1; nr <= 255; ++nr) calls.push_back(2 * nr);
  PassesThoseAlone(calls);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
