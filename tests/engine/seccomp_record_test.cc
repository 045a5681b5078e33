// SPDX-License-Identifier: Apache-2.0
#include "engine/seccomp_record.h"

#include <boost/test/unit_test.hpp>

namespace bulkhead {
namespace {

BOOST_AUTO_TEST_SUITE(SeccompRecord)

BOOST_AUTO_TEST_CASE(ReadsAKill) {
  const auto kill = ParseSeccompRecord(
      "audit(1795394642.123:77): auid=4294967295 uid=268435457 gid=268435457 ses=4294967295 "
      "pid=1234 comm=\"nginx\" exe=\"/usr/sbin/nginx\" sig=31 arch=40000003 syscall=359 compat=1 "
      "ip=0xf7f0a549 code=0x80000000");
  BOOST_REQUIRE(kill.has_value());
  BOOST_TEST((*kill == SeccompKill{1234, 268435457, 31, 0x40000003, 359}));
}

// A process may call itself anything; the kernel writes such a name in hexadecimal.
BOOST_AUTO_TEST_CASE(ANameIsNoField) {
  const auto kill = ParseSeccompRecord(
      "audit(1.1:1): uid=7 pid=2 comm=7569643D30207069643D31 sig=31 arch=c000003e syscall=5");
  BOOST_REQUIRE(kill.has_value());
  BOOST_TEST(kill->uid == 7U);
}

BOOST_AUTO_TEST_CASE(RefusesOtherForms) {
  for (const char* text :
       {"", "audit(1.1:1):", "uid=1 pid=2 sig=31 arch=40000003",
        "uid=x pid=2 sig=31 arch=1 syscall=1", "uid=1 uid=1 pid=2 sig=31 arch=1 syscall=1",
        "uid=99999999999 pid=2 sig=31 arch=1 syscall=1"}) {
    BOOST_TEST(!ParseSeccompRecord(text).has_value(), text);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
