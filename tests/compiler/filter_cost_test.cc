// SPDX-License-Identifier: Apache-2.0
#include "compiler/filter_cost.h"

#include <boost/test/unit_test.hpp>

namespace bulkhead {
namespace {

namespace tt = boost::test_tools;

BOOST_AUTO_TEST_SUITE(FilterCosts)

BOOST_AUTO_TEST_CASE(OfAProgramWrittenByHand) {
  const Filter filter = {
      {kLoad, 0, 0, kOffsetNr},       {kJumpEqual, 2, 0, 1},  // write: allowed
      {kJumpEqual, 2, 0, 16},                                 // ioctl: by its request
      {kReturn, 0, 0, kRetErrno | 1}, {kReturn, 0, 0, kRetAllow}, {kLoad, 0, 0, OffsetArgLow(1)},
      {kJumpEqual, 0, 1, 0x5401},     {kReturn, 0, 0, kRetAllow}, {kJumpAlways, 0, 0, 0},
      {kReturn, 0, 0, kRetErrno | 1},
  };
  BOOST_REQUIRE(!FilterDefect(filter));
  const CallMix mix = {{1, {}, 80}, {16, {0, 0x5401}, 10}, {16, {0, 0x5402}, 5}, {2, {}, 5}};
  const FilterCost cost = CostOf(filter, Arch::kX86_64, mix);
  BOOST_TEST(cost.length == 10U);
  BOOST_TEST(cost.longest == 7U);
  BOOST_TEST(cost.all.share == 1.0);
  BOOST_TEST(cost.all.average == (80 * 3 + 10 * 6 + 5 * 7 + 5 * 4) / 100.0, tt::tolerance(1e-9));
  BOOST_TEST(cost.all.worst == 7U);
  // write is answered from the bitmap; ioctl is not, and what is refused is not.
  BOOST_TEST(cost.uncached.share == 0.2, tt::tolerance(1e-9));
  BOOST_TEST(cost.uncached.average == (10 * 6 + 5 * 7 + 5 * 4) / 20.0, tt::tolerance(1e-9));
  BOOST_TEST(cost.uncached.worst == 7U);
}

BOOST_AUTO_TEST_CASE(WithoutUncachedCalls) {
  const Filter filter = {{kReturn, 0, 0, kRetAllow}};
  const FilterCost cost = CostOf(filter, Arch::kX86_64, {{1, {}, 80}});
  BOOST_TEST(cost.all.average == 1.0);
  BOOST_TEST(cost.uncached.share == 0.0);
  BOOST_TEST(cost.uncached.average == 0.0);
  BOOST_TEST(cost.uncached.worst == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
