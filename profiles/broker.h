// SPDX-License-Identifier: Apache-2.0
// The broker's rules and its decision. An address stands behind a pointer, where no filter looks,
// and Landlock knows ports of TCP alone; so calls that name one come to the supervisor, which lets
// a process of its own make them for the component as far as these rules say, on its own copy of
// the address (docs/RUNTIME.md). Plain values; Decide allocates nothing. Thread-safe.
//
// What the kernel makes of an address was read in net/ipv4/{af_inet,udp,datagram}.c, net/ipv6,
// net/vmw_vsock/af_vsock.c and net/unix/af_unix.c of Linux 6.18.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

enum class BrokerKind : uint8_t { kTcpConnect, kUdpSend, kUdpBind, kVsockConnect };

struct BrokerRule {
  BrokerKind kind = BrokerKind::kTcpConnect;
  bool any = false;      // any address: the port alone counts
  uint32_t address = 0;  // IPv4 with its first byte on top, or the CID; 0 with `any`
  uint32_t port = 0;
  std::string rule;  // statement id
  bool operator==(const BrokerRule&) const = default;
};

struct BrokerPlan {
  // Numbers of the calls that the filter refuses and the broker takes, sorted; empty: no broker.
  std::vector<uint32_t> calls;
  // Unix sockets by an absolute path: the call is made in the component's view under its ids, so
  // these decide as they do without a broker.
  bool paths = false;
  std::vector<BrokerRule> rules;  // sorted, unique
  bool operator==(const BrokerPlan&) const = default;
};

// The order of `rules`.
bool BrokerLess(const BrokerRule& a, const BrokerRule& b);

inline constexpr uint32_t kMaxBrokerPort = 0xffffffff;  // of vsock; 65535 for the others

enum class BrokerCall : uint8_t { kConnect, kBind, kSend };

// What the kernel says of a socket: SO_DOMAIN, SO_TYPE, SO_PROTOCOL.
struct SocketKind {
  int32_t domain = 0;
  int32_t type = 0;
  int32_t protocol = 0;
  bool operator==(const SocketKind&) const = default;
};

inline constexpr uint32_t kNoBrokerRule = ~uint32_t{0};
inline constexpr size_t kMaxSocketAddress = 128;  // sizeof(sockaddr_storage)

struct BrokerDecision {
  bool allowed = false;
  uint32_t rule = kNoBrokerRule;  // the index of the rule that allows, if one does
};

// `address` is what the call names, as it was copied; of a message without one it is empty.
BrokerDecision Decide(const BrokerPlan& plan, BrokerCall call, const SocketKind& socket,
                      std::span<const uint8_t> address);

// "tcp:127.0.0.1:6379", "udp:[2001:db8::1]:53", "vsock:3:9001", "unix:/run/x.sock", "unix:@name";
// "family 16" for what is none of these. Bytes of names are as they are.
std::string EndpointText(const SocketKind& socket, std::span<const uint8_t> address);

// The statement of a component that its rules of this kind come from, as "network.tcp.connect"; of
// a component that has none "network", which is above it.
std::string_view BrokerStatement(const BrokerPlan& plan, BrokerKind kind);
// The same, of the rules that speak about such calls: "network.unix.connect" where paths are let
// be.
std::string_view BrokerStatement(const BrokerPlan& plan, BrokerCall call, const SocketKind& socket);

}  // namespace bulkhead
