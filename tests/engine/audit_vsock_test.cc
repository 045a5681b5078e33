// SPDX-License-Identifier: Apache-2.0
// A vsock sink over the kernel's own loopback, in a guest of ours only:
// `.ci/run` says how.
#include <fcntl.h>

#include <boost/test/unit_test.hpp>

#include "tests/attacks/vsock.h"
#include "tests/engine/audit_receiver.h"

namespace bulkhead {
namespace {

using namespace audit_test;

constexpr uint32_t kPort = 9001;
constexpr int kPause = 10;  // ms: emulated, and loopback has its worker

Receiver VsockReceiver() {
  const auto listen_there = [] {
    const int fd = attacks::ListenVsock(kPort);
    return fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 ? fd : -1;
  };
  return {listen_there, [] {}};
}

BOOST_AUTO_TEST_SUITE(GuestAuditVsock)

BOOST_AUTO_TEST_CASE(AReceiverThatIsKilledAndStartedAgainMissesNothing) {
  BOOST_REQUIRE_MESSAGE(attacks::InOwnGuest(), "this is no guest of scripts/guest");
  fake_now = 100 * kSecond;
  Receiver receiver = VsockReceiver();
  KillUnderLoad(receiver, {SinkKind::kVsock, "1:9001"}, DialSink, kPause);
}

BOOST_AUTO_TEST_CASE(NobodyWhoListensIsAnError) {
  BOOST_REQUIRE_MESSAGE(attacks::InOwnGuest(), "this is no guest of scripts/guest");
  const auto none =
      AuditLog::Open({{SinkKind::kVsock, "1:9002"}}, TestBundle(), "b", SystemAuditClock());
  BOOST_REQUIRE(!none);
  BOOST_TEST(none.error().step == "connect");
  BOOST_TEST(none.error().object == "vsock:1:9002");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
