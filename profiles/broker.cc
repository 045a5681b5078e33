// SPDX-License-Identifier: Apache-2.0
#include "profiles/broker.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <tuple>

namespace bulkhead {
namespace {

// Of the kernel, the same on every architecture.
constexpr int32_t kUnspec = 0;
constexpr int32_t kUnix = 1;
constexpr int32_t kInet = 2;
constexpr int32_t kInet6 = 10;
constexpr int32_t kVsock = 40;
constexpr int32_t kStream = 1;
constexpr int32_t kDatagram = 2;
constexpr int32_t kTcp = 6;
constexpr int32_t kUdp = 17;

using Bytes = std::span<const uint8_t>;

int32_t FamilyOf(Bytes address) { return address.size() < 2 ? -1 : address[0] | address[1] << 8; }

uint32_t BigEndian(Bytes bytes) {
  uint32_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

uint32_t LittleEndian(Bytes bytes) {
  uint32_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | bytes[i - 1];
  return value;
}

struct Destination {
  std::optional<uint32_t> address;  // nothing: one that no rule names
  uint32_t port = 0;
};

// struct sockaddr_in and sockaddr_in6; ::ffff:a.b.c.d is a.b.c.d.
std::optional<Destination> Internet(Bytes address) {
  if (FamilyOf(address) == kInet && address.size() >= 16) {
    return Destination{BigEndian(address.subspan(4, 4)), BigEndian(address.subspan(2, 2))};
  }
  if (FamilyOf(address) != kInet6 || address.size() < 28) return std::nullopt;
  Destination to{std::nullopt, BigEndian(address.subspan(2, 2))};
  constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), address.begin() + 8)) {
    to.address = BigEndian(address.subspan(20, 4));
  }
  return to;
}

// The address of vsock: family, reserved, port, CID, flags. The runtime's machines are little
// endian.
std::optional<Destination> Vsock(Bytes address) {
  if (FamilyOf(address) != kVsock || address.size() < 16) return std::nullopt;
  return Destination{LittleEndian(address.subspan(8, 4)), LittleEndian(address.subspan(4, 4))};
}

BrokerDecision Match(const BrokerPlan& plan, BrokerKind kind,
                     const std::optional<Destination>& to) {
  if (!to) return {};
  for (size_t i = 0; i < plan.rules.size(); ++i) {
    const BrokerRule& rule = plan.rules[i];
    if (rule.kind != kind || rule.port != to->port) continue;
    if (rule.any || (to->address && *to->address == rule.address)) {
      return {true, static_cast<uint32_t>(i)};
    }
  }
  return {};
}

bool Has(const BrokerPlan& plan, BrokerKind kind) {
  return std::ranges::any_of(plan.rules,
                             [kind](const BrokerRule& rule) { return rule.kind == kind; });
}

bool IsInternet(const SocketKind& socket) {
  return socket.domain == kInet || socket.domain == kInet6;
}

bool IsUdp(const SocketKind& socket) {
  return IsInternet(socket) && socket.type == kDatagram && socket.protocol == kUdp;
}

BrokerDecision DecideUdp(const BrokerPlan& plan, BrokerCall call, const SocketKind& socket,
                         Bytes address) {
  // Ends a connection, whatever follows (connect(2)); to bind and send it would be a family.
  if (call == BrokerCall::kConnect && FamilyOf(address) == kUnspec) return {true, kNoBrokerRule};
  if (FamilyOf(address) != socket.domain) return {};
  const auto to = Internet(address);
  if (call != BrokerCall::kBind) return Match(plan, BrokerKind::kUdpSend, to);
  // Port 0 is one of the kernel's choice, as sending takes by itself.
  if (to && to->port == 0) return {Has(plan, BrokerKind::kUdpSend), kNoBrokerRule};
  return Match(plan, BrokerKind::kUdpBind, to);
}

BrokerDecision DecideUnix(const BrokerPlan& plan, BrokerCall call, Bytes address) {
  const bool by_path = FamilyOf(address) == kUnix && address.size() > 2 && address[2] == '/';
  return {plan.paths && by_path && call != BrokerCall::kBind, kNoBrokerRule};
}

std::string Dotted(uint32_t address) {
  std::array<char, 16> text{};
  snprintf(text.data(), text.size(), "%u.%u.%u.%u", address >> 24, address >> 16 & 0xff,
           address >> 8 & 0xff, address & 0xff);
  return text.data();
}

std::string InternetText(Bytes address) {
  const auto to = Internet(address);
  if (!to) return "?";
  const std::string port = ":" + std::to_string(to->port);
  if (FamilyOf(address) == kInet) return Dotted(*to->address) + port;
  std::string text = "[";
  for (size_t i = 8; i < 24; i += 2) {
    std::array<char, 8> group{};
    snprintf(group.data(), group.size(), "%s%x", i == 8 ? "" : ":",
             BigEndian(address.subspan(i, 2)));
    text += group.data();
  }
  return text + "]" + port;
}

std::string UnixText(Bytes address) {
  const Bytes name = address.subspan(std::min<size_t>(address.size(), 2));
  std::string text(name.begin(), name.end());
  if (text.empty()) return "?";
  if (text[0] == '\0') return "@" + text.substr(1);
  return text.substr(0, text.find('\0'));
}

}  // namespace

bool BrokerLess(const BrokerRule& a, const BrokerRule& b) {
  return std::tie(a.kind, a.any, a.address, a.port) < std::tie(b.kind, b.any, b.address, b.port);
}

BrokerDecision Decide(const BrokerPlan& plan, BrokerCall call, const SocketKind& socket,
                      Bytes address) {
  // A message without an address goes where the socket was connected to: that was decided then.
  if (call == BrokerCall::kSend && address.empty()) return {true, kNoBrokerRule};
  if (socket.domain == kUnix) return DecideUnix(plan, call, address);
  if (IsUdp(socket)) return DecideUdp(plan, call, socket, address);
  if (call != BrokerCall::kConnect || FamilyOf(address) != socket.domain) return {};
  if (socket.type != kStream) return {};
  if (IsInternet(socket) && socket.protocol == kTcp) {
    return Match(plan, BrokerKind::kTcpConnect, Internet(address));
  }
  if (socket.domain == kVsock) return Match(plan, BrokerKind::kVsockConnect, Vsock(address));
  return {};
}

std::string EndpointText(const SocketKind& socket, Bytes address) {
  const int32_t family = FamilyOf(address);
  if (family == kUnix) return "unix:" + UnixText(address);
  if (family == kInet || family == kInet6) {
    const char* kind = socket.type == kDatagram ? "udp:" : "tcp:";
    return (IsInternet(socket) ? kind : "inet:") + InternetText(address);
  }
  if (const auto to = Vsock(address)) {
    return "vsock:" + std::to_string(to->address.value_or(0)) + ":" + std::to_string(to->port);
  }
  return family < 0 ? "no address" : "family " + std::to_string(family);
}

std::string_view BrokerStatement(const BrokerPlan& plan, BrokerKind kind) {
  const bool is_there = std::ranges::find(plan.rules, kind, &BrokerRule::kind) != plan.rules.end();
  if (!is_there) return "network";
  switch (kind) {
    case BrokerKind::kTcpConnect:
      return "network.tcp.connect";
    case BrokerKind::kUdpSend:
      return "network.udp.connect";
    case BrokerKind::kUdpBind:
      return "network.udp.bind";
    case BrokerKind::kVsockConnect:
      return "network.vsock.connect";
  }
  return "network";
}

std::string_view BrokerStatement(const BrokerPlan& plan, BrokerCall call,
                                 const SocketKind& socket) {
  if (socket.domain == kUnix) return plan.paths ? "network.unix.connect" : "network";
  if (socket.domain == kVsock) return BrokerStatement(plan, BrokerKind::kVsockConnect);
  if (IsUdp(socket)) {
    return BrokerStatement(plan,
                           call == BrokerCall::kBind ? BrokerKind::kUdpBind : BrokerKind::kUdpSend);
  }
  return IsInternet(socket) ? BrokerStatement(plan, BrokerKind::kTcpConnect) : "network";
}

}  // namespace bulkhead
