// SPDX-License-Identifier: Apache-2.0
// The broker's decision, on addresses as bytes: each refusal beside what is allowed.
#include "profiles/broker.h"

#include <boost/test/unit_test.hpp>
#include <random>
#include <string>
#include <vector>

namespace bulkhead {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr SocketKind kTcp{2, 1, 6};
constexpr SocketKind kTcp6{10, 1, 6};
constexpr SocketKind kUdp{2, 2, 17};
constexpr SocketKind kUdp6{10, 2, 17};
constexpr SocketKind kVsock{40, 1, 0};
constexpr SocketKind kUnix{1, 1, 0};

Bytes Inet(uint32_t address, uint16_t port) {
  Bytes bytes{2, 0, static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port)};
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<uint8_t>(address >> shift));
  }
  bytes.resize(16);
  return bytes;
}

Bytes Inet6(const Bytes& address, uint16_t port) {
  Bytes bytes{10, 0, static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port), 0, 0, 0, 0};
  bytes.insert(bytes.end(), address.begin(), address.end());
  bytes.resize(28);
  return bytes;
}

const Bytes kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
const Bytes kLoopback6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

Bytes Vsock(uint32_t cid, uint32_t port) {
  Bytes bytes{40, 0, 0, 0};
  for (const uint32_t value : {port, cid, 0U}) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<uint8_t>(value >> shift));
    }
  }
  return bytes;
}

Bytes Path(const std::string& path) {
  Bytes bytes{1, 0};
  bytes.insert(bytes.end(), path.begin(), path.end());
  return bytes;
}

BrokerPlan Plan() {
  BrokerPlan plan;
  plan.calls = {42};
  plan.rules = {{BrokerKind::kTcpConnect, false, 0x7f000001, 6379, "one"},
                {BrokerKind::kTcpConnect, true, 0, 443, "any"},
                {BrokerKind::kUdpSend, false, 0x7f000001, 53, "dns"},
                {BrokerKind::kUdpSend, true, 0, 123, "ntp"},
                {BrokerKind::kUdpBind, true, 0, 5353, "bind"},
                {BrokerKind::kVsockConnect, false, 3, 9001, "parent"}};
  std::sort(plan.rules.begin(), plan.rules.end(), BrokerLess);
  return plan;
}

bool Allows(BrokerCall call, const SocketKind& socket, const Bytes& address,
            const BrokerPlan& plan = Plan()) {
  return Decide(plan, call, socket, address).allowed;
}

BOOST_AUTO_TEST_SUITE(Broker)

BOOST_AUTO_TEST_CASE(TcpByAddressAndPort) {
  const auto connects = [](const SocketKind& socket, const Bytes& to) {
    return Allows(BrokerCall::kConnect, socket, to);
  };
  BOOST_TEST(connects(kTcp, Inet(0x7f000001, 6379)));
  BOOST_TEST(!connects(kTcp, Inet(0x7f000002, 6379)));
  BOOST_TEST(!connects(kTcp, Inet(0x7f000001, 6380)));
  BOOST_TEST(!connects(kTcp, Inet(0, 6379)));  // this machine, to the kernel
  BOOST_TEST(connects(kTcp, Inet(0x08080808, 443)));
  BOOST_TEST(connects(kTcp6, Inet6(kMapped, 6379)));
  BOOST_TEST(!connects(kTcp6, Inet6(kLoopback6, 6379)));
  BOOST_TEST(connects(kTcp6, Inet6(kLoopback6, 443)));
  // The family must be the socket's.
  BOOST_TEST(!connects(kTcp6, Inet(0x7f000001, 6379)));
  BOOST_TEST(!connects(kTcp, Inet6(kMapped, 6379)));
  BOOST_TEST(!connects(kVsock, Inet(0x7f000001, 6379)));
  // Nothing but TCP is TCP.
  BOOST_TEST(!connects({2, 1, 262}, Inet(0x7f000001, 6379)));
  BOOST_TEST(!connects({2, 1, 132}, Inet(0x7f000001, 6379)));
  BOOST_TEST(!connects({2, 3, 6}, Inet(0x7f000001, 6379)));
  BOOST_TEST(!connects(kUdp, Inet(0x7f000001, 6379)));
  BOOST_TEST(!Allows(BrokerCall::kSend, kTcp, Inet(0x7f000001, 6379)));
  BOOST_TEST(!Allows(BrokerCall::kBind, kTcp, Inet(0x7f000001, 6379)));
}

BOOST_AUTO_TEST_CASE(UdpByCall) {
  for (const BrokerCall call : {BrokerCall::kConnect, BrokerCall::kSend}) {
    BOOST_TEST(Allows(call, kUdp, Inet(0x7f000001, 53)));
    BOOST_TEST(!Allows(call, kUdp, Inet(0x7f000001, 54)));
    BOOST_TEST(!Allows(call, kUdp, Inet(0x7f000002, 53)));
    BOOST_TEST(Allows(call, kUdp6, Inet6(kMapped, 53)));
    // To the kernel an IPv4 address on an IPv6 socket is one.
    BOOST_TEST(!Allows(call, kUdp6, Inet(0x7f000001, 53)));
    BOOST_TEST(!Allows(call, {2, 2, 136}, Inet(0x7f000001, 53)));  // UDP-Lite
    BOOST_TEST(!Allows(call, {2, 2, 1}, Inet(0x7f000001, 53)));    // ping
  }
  BOOST_TEST(Allows(BrokerCall::kSend, kUdp, {}));
  BOOST_TEST(!Allows(BrokerCall::kConnect, kUdp, {}));
  // AF_UNSPEC ends a connection, and is AF_INET to who sends.
  Bytes unspecified = Inet(0x08080808, 80);
  unspecified[0] = 0;
  BOOST_TEST(Allows(BrokerCall::kConnect, kUdp, unspecified));
  BOOST_TEST(!Allows(BrokerCall::kSend, kUdp, unspecified));
  BOOST_TEST(!Allows(BrokerCall::kBind, kUdp, unspecified));
  BOOST_TEST(!Allows(BrokerCall::kConnect, kTcp, unspecified));
  BOOST_TEST(Allows(BrokerCall::kBind, kUdp, Inet(0, 5353)));
  BOOST_TEST(Allows(BrokerCall::kBind, kUdp, Inet(0, 0)));
  BOOST_TEST(!Allows(BrokerCall::kBind, kUdp, Inet(0, 53)));
}

BOOST_AUTO_TEST_CASE(VsockByContextAndPort) {
  BOOST_TEST(Allows(BrokerCall::kConnect, kVsock, Vsock(3, 9001)));
  BOOST_TEST(!Allows(BrokerCall::kConnect, kVsock, Vsock(3, 9002)));
  BOOST_TEST(!Allows(BrokerCall::kConnect, kVsock, Vsock(2, 9001)));
  BOOST_TEST(!Allows(BrokerCall::kConnect, {40, 2, 0}, Vsock(3, 9001)));
  BOOST_TEST(!Allows(BrokerCall::kBind, kVsock, Vsock(3, 9001)));
  BOOST_TEST(!Allows(BrokerCall::kSend, kVsock, Vsock(3, 9001)));
  BrokerPlan none = Plan();
  none.rules.clear();
  BOOST_TEST(!Allows(BrokerCall::kConnect, kVsock, Vsock(3, 9001), none));
}

BOOST_AUTO_TEST_CASE(PathsWhereTheyAreLeftToTheView) {
  BrokerPlan paths = Plan();
  paths.paths = true;
  BOOST_TEST(!Allows(BrokerCall::kConnect, kUnix, Path("/run/e/s")));
  BOOST_TEST(Allows(BrokerCall::kConnect, kUnix, Path("/run/e/s"), paths));
  BOOST_TEST(Allows(BrokerCall::kSend, {1, 2, 0}, Path("/run/e/s"), paths));
  BOOST_TEST(!Allows(BrokerCall::kBind, kUnix, Path("/run/e/s"), paths));
  for (const std::string& name : {std::string("s"), std::string("\0name", 5), std::string()}) {
    BOOST_TEST(!Allows(BrokerCall::kConnect, kUnix, Path(name), paths));
  }
  BOOST_TEST(!Allows(BrokerCall::kConnect, kTcp, Path("/run/e/s"), paths));
}

BOOST_AUTO_TEST_CASE(ShortAddressesAreNobodys) {
  for (const auto& [socket, whole] :
       {std::pair(kTcp, Inet(0x7f000001, 6379)), std::pair(kTcp6, Inet6(kMapped, 6379)),
        std::pair(kVsock, Vsock(3, 9001))}) {
    BOOST_TEST(Allows(BrokerCall::kConnect, socket, whole));
    for (size_t size = 0; size < whole.size(); ++size) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<long>(size));
      BOOST_TEST(!Allows(BrokerCall::kConnect, socket, part), size);
    }
  }
}

// What is allowed is allowed by a rule that names it, whatever the bytes.
BOOST_AUTO_TEST_CASE(RandomAddresses) {
  std::mt19937 random(1);
  BOOST_TEST_MESSAGE("seed 1");
  const BrokerPlan plan = Plan();
  for (int i = 0; i < 200'000; ++i) {
    Bytes bytes(random() % (kMaxSocketAddress + 1));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    constexpr uint8_t kFamilies[] = {0, 1, 2, 10, 40};
    if (bytes.size() > 1) bytes[0] = kFamilies[random() % 5], bytes[1] = 0;
    const SocketKind sockets[] = {kTcp, kTcp6, kUdp, kUdp6, kVsock, kUnix};
    const SocketKind socket = sockets[random() % 6];
    const BrokerDecision decision = Decide(plan, BrokerCall::kConnect, socket, bytes);
    EndpointText(socket, bytes);
    if (!decision.allowed || decision.rule == kNoBrokerRule) continue;
    BOOST_TEST(plan.rules.at(decision.rule).any, "a random address was one of a rule");
  }
}

BOOST_AUTO_TEST_CASE(Texts) {
  BOOST_TEST(EndpointText(kTcp, Inet(0x7f000001, 6379)) == "tcp:127.0.0.1:6379");
  BOOST_TEST(EndpointText(kUdp6, Inet6(kLoopback6, 53)) == "udp:[0:0:0:0:0:0:0:1]:53");
  BOOST_TEST(EndpointText(kVsock, Vsock(3, 9001)) == "vsock:3:9001");
  BOOST_TEST(EndpointText(kUnix, Path("/run/e/s")) == "unix:/run/e/s");
  BOOST_TEST(EndpointText(kUnix, Path(std::string("\0name", 5))) == "unix:@name");
  BOOST_TEST(EndpointText({16, 3, 0}, Bytes{16, 0}) == "family 16");
  BOOST_TEST(EndpointText(kTcp, {}) == "no address");
}

// What is refused is refused by the statement that is there, or by its absence in the one above.
BOOST_AUTO_TEST_CASE(Statements) {
  const BrokerPlan none;
  BrokerPlan some;
  some.rules = {{BrokerKind::kTcpConnect, true, 0, 80, "a"},
                {BrokerKind::kUdpBind, true, 0, 53, "b"}};
  some.paths = true;
  const SocketKind of_unix{1, 1, 0};
  BOOST_TEST(BrokerStatement(some, BrokerCall::kConnect, kTcp) == "network.tcp.connect");
  BOOST_TEST(BrokerStatement(some, BrokerCall::kBind, kUdp) == "network.udp.bind");
  BOOST_TEST(BrokerStatement(some, BrokerCall::kSend, kUdp) == "network");
  BOOST_TEST(BrokerStatement(some, BrokerCall::kConnect, kVsock) == "network");
  BOOST_TEST(BrokerStatement(some, BrokerCall::kConnect, of_unix) == "network.unix.connect");
  for (const SocketKind& kind : {kTcp, kUdp, kVsock, of_unix}) {
    BOOST_TEST(BrokerStatement(none, BrokerCall::kConnect, kind) == "network");
  }
  BOOST_TEST(BrokerStatement(some, BrokerCall::kConnect, {16, 3, 0}) == "network");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
