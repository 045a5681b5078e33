// SPDX-License-Identifier: Apache-2.0
// What is read back from a filter is what the plan said, and what can't be is not called proved.
#include "compiler/read_filter.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "compiler/filter_gen.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Granted;
using testing::MustCompile;

bool Has(const std::vector<std::string>& names, const char* name) {
  return std::ranges::binary_search(names, name);
}

BOOST_AUTO_TEST_SUITE(FilterReadings)

BOOST_AUTO_TEST_CASE(EveryCallIsReadBack) {
  for (const char* target : {"linux-6.18", "linux-6.18-aarch64"}) {
    const auto compiled =
        MustCompile(Granted("    network: {tcp: {listen: [{port: 80, name: web}]}}\n"
                            "    syscalls: {allow: [\"@service\"]}\n"),
                    {}, target);
    const ProfileData& one = compiled.Component("one");
    const auto reading = ReadFilter(one);
    BOOST_REQUIRE_MESSAGE(reading.has_value(), reading.error());
    BOOST_TEST(reading->paths > 50U);
    BOOST_TEST((reading->skipped == std::vector<std::string>{"listen"}));
    for (const SyscallRow& row : AllSyscalls()) {
      const std::string name(row.name);
      const auto nr = row.Number(one.arch);
      const bool always = Has(reading->always, name.c_str());
      const bool by_arguments = Has(reading->by_arguments, name.c_str());
      BOOST_TEST(!(always && by_arguments), name);
      if (!nr) {
        BOOST_TEST(!(always || by_arguments), name);
      } else if (testing::Allows(one, name)) {
        BOOST_TEST((always || by_arguments), name);
      } else {
        BOOST_TEST(!always, name);
      }
    }
    BOOST_TEST(Has(reading->always, "read"));
    BOOST_TEST(Has(reading->by_arguments, "ioctl"));
  }
}

BOOST_AUTO_TEST_CASE(WhatIsOddIsNotProved) {
  const auto compiled = MustCompile(Granted(""));
  ProfileData one = compiled.Component("one");
  CallPlan plan;
  plan.rules = {{0, {{}}, {}}, {3000, {{}}, {}}};
  one.filter = *GenerateFilter(plan);
  BOOST_TEST(ReadFilter(one).error() == "call 3000 is allowed and has no name");
  // Two calls that are refused by different answers: by one question each they can't be told.
  plan.rules = {{0, {{}}, {}}};
  plan.absent = {900};
  plan.absent_action = kRetErrno | 13;
  one.filter = *GenerateFilter(plan);
  one.absent.clear();
  BOOST_TEST(ReadFilter(one).error().starts_with("the filter does more than can be read"));
  one.absent = {900};
  BOOST_TEST(ReadFilter(one).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
