// SPDX-License-Identifier: Apache-2.0
#include "sandbox/reaper.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <csignal>

#include "sandbox/launch.h"

namespace bulkhead {
namespace {

BOOST_AUTO_TEST_SUITE(Reaper)

// A component that ends by itself while it is told to stop has ended as it has.
BOOST_AUTO_TEST_CASE(TheLastWordIsHeardBehindAnOrderThatWasNotRead) {
  for (const bool order : {false, true}) {
    int ends[2];
    BOOST_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    if (order) {
      const ReaperCommand command{SIGTERM, 0};
      BOOST_REQUIRE(write(ends[0], &command, sizeof command) == sizeof command);
    }
    const ReaperMessage said{ReaperMessage::Kind::kExit, {}, 42, 0};
    BOOST_REQUIRE(write(ends[1], &said, sizeof said) == sizeof said);
    close(ends[1]);
    ReaperMessage heard{};
    BOOST_TEST(TakeMessage(ends[0], heard) == static_cast<ssize_t>(sizeof heard), order);
    BOOST_TEST((heard.kind == ReaperMessage::Kind::kExit));
    BOOST_TEST(heard.status == 42);
    BOOST_TEST(TakeMessage(ends[0], heard) == 0, order);
    close(ends[0]);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
