// SPDX-License-Identifier: Apache-2.0
// Derived ids against values computed with another implementation of SHA-384 (Python's hashlib).
#include "compiler/identity.h"

#include <boost/test/unit_test.hpp>

namespace bulkhead {
namespace {

BOOST_AUTO_TEST_SUITE(Identity)

BOOST_AUTO_TEST_CASE(Components) {
  BOOST_TEST(ComponentId("agent", "signer") == 0x18f26604U);
  BOOST_TEST(ComponentId("agent", "tools") == 0x1b17dd60U);
  BOOST_TEST(ComponentId("test", "one") == 0x198ced5fU);
}

BOOST_AUTO_TEST_CASE(TheBorderBetweenNamesCounts) {
  BOOST_TEST(ComponentId("a", "bc") == 0x1fda547cU);
  BOOST_TEST(ComponentId("ab", "c") == 0x1120d065U);
}

BOOST_AUTO_TEST_CASE(Edges) { BOOST_TEST(EdgeId("agent", "/run/edges/sign") == 0x255850e6U); }

// Two ranges of ids: no edge's group is a component's.
BOOST_AUTO_TEST_CASE(Ranges) {
  for (int i = 0; i < 2000; ++i) {
    const std::string name = "n" + std::to_string(i);
    BOOST_TEST(ComponentId("test", name) >> 28 == kFirstComponentId >> 28);
    BOOST_TEST(EdgeId("test", "/" + name) >> 28 == kFirstEdgeId >> 28);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
