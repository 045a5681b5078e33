// SPDX-License-Identifier: Apache-2.0
// What only the broker can tell apart: addresses of TCP, UDP and vsock. A component of which one
// statement needs it makes no connection of its own at all, as a filter sees neither the address
// nor what kind of socket a descriptor is.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compiler/planner.h"
#include "compiler/resolve_calls.h"
#include "policy/scalars.h"
#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr uint64_t kAfInet = 2;
constexpr uint64_t kAfInet6 = 10;
constexpr uint64_t kAfVsock = 40;
constexpr uint64_t kSockStream = 1;
constexpr uint64_t kSockDgram = 2;
constexpr uint64_t kIpprotoTcp = 6;
constexpr uint64_t kIpprotoUdp = 17;

void AddRule(ComponentPlan& plan, BrokerKind kind, const Destination& to) {
  const bool vsock = kind == BrokerKind::kVsockConnect;
  BrokerRule rule{kind, to.address.empty(), 0, to.port, to.at.id};
  if (!rule.any) {
    rule.address = vsock ? static_cast<uint32_t>(ParseInteger(to.address).value_or(0))
                         : ParseIpv4(to.address).value_or(0);
  }
  if (!rule.any && !vsock && rule.address == 0) {
    plan.Error(to.at.place, "E0571", "`0.0.0.0` is no address to go to",
               "to the kernel it means this machine: write `127.0.0.1`, or the port alone for any "
               "address");
  }
  plan.profile.broker.rules.push_back(std::move(rule));
}

void AddRules(ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  for (const TcpPort& port : network.tcp_connect) {
    AddRule(plan, BrokerKind::kTcpConnect, {{}, port.port, port.at});
  }
  for (const Destination& to : network.tcp_connect_to) {
    AddRule(plan, BrokerKind::kTcpConnect, to);
  }
  for (const Destination& to : network.udp_connect) AddRule(plan, BrokerKind::kUdpSend, to);
  for (const TcpPort& port : network.udp_bind) {
    AddRule(plan, BrokerKind::kUdpBind, {{}, port.port, port.at});
  }
  for (const Destination& to : network.vsock_connect) {
    AddRule(plan, BrokerKind::kVsockConnect, to);
  }
  std::ranges::sort(plan.profile.broker.rules, BrokerLess);
}

void AddSockets(ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  std::vector<Conjunction> sockets;
  const auto internet = [&](uint64_t type, uint64_t protocol, bool six) {
    for (const uint64_t domain : {kAfInet, kAfInet6}) {
      if (domain == kAfInet6 && !six) continue;
      sockets.push_back(SocketArguments(domain, type, 0));
      sockets.push_back(SocketArguments(domain, type, protocol));
    }
  };
  const bool tcp = !network.tcp_connect.empty() || !network.tcp_connect_to.empty();
  const bool udp = UsesUdp(network);
  const auto any = [](const Destination& to) { return to.address.empty(); };
  if (tcp) internet(kSockStream, kIpprotoTcp, !network.tcp_connect.empty());
  if (udp) {
    internet(kSockDgram, kIpprotoUdp,
             std::ranges::any_of(network.udp_connect, any) || !network.udp_bind.empty());
  }
  if (!network.vsock_connect.empty()) sockets.push_back(SocketArguments(kAfVsock, kSockStream, 0));
  plan.Own("socket", std::move(sockets));
}

// By a message with control data a socket is passed on to who may connect it; and a message names
// its address in memory.
void TakeCalls(ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  std::vector<std::string_view> calls{"connect"};
  const bool udp = UsesUdp(network);
  if (udp) {
    calls.insert(calls.end(), {"bind", "sendto"});
    const Condition unaddressed = Equal(4, 64, 0);
    Condition addressed = unaddressed;
    addressed.negated = true;
    plan.Own("sendto", {{unaddressed}});
    plan.closed.push_back({"sendto", {addressed}});
  }
  if (udp || plan.IsLinked()) {
    calls.emplace_back("sendmsg");
    plan.closed.push_back({"sendmsg", {}});
    plan.closed.push_back({"sendmmsg", {}});
  }
  // Options by which what is addressed to one goes by way of another: IP_OPTIONS (source routes),
  // IPV6_RTHDR, IPV6_2292PKTOPTIONS.
  constexpr std::pair<uint64_t, uint64_t> kRoutes[] = {{0, 4}, {41, 57}, {41, 6}};
  for (const auto& [level, option] : kRoutes) {
    plan.closed.push_back({"setsockopt", {Equal(1, 32, level), Equal(2, 32, option)}});
  }
  for (const std::string_view name : calls) {
    plan.profile.broker.calls.push_back(SyscallNumber(plan.enclave.target.arch, name).value());
  }
  std::ranges::sort(plan.profile.broker.calls);
}

const Statement& FirstStatement(const NetworkPolicy& network) {
  if (!network.tcp_connect_to.empty()) return network.tcp_connect_to.front().at;
  if (!network.udp_connect.empty()) return network.udp_connect.front().at;
  if (!network.udp_bind.empty()) return network.udp_bind.front().at;
  return network.vsock_connect.front().at;
}

// False after an error.
bool CanBroker(ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  const Statement& at = FirstStatement(network);
  if (!plan.features.Has(Feature::kSeccompNotify) || !plan.features.Has(Feature::kPidfd)) {
    plan.Refuse(at.place, "network", "E0570",
                fmt::format("`{}` can't tell addresses apart: the broker needs `seccomp-notify` "
                            "and `pidfd`",
                            plan.enclave.target.name),
                "choices: ports alone in `tcp.connect`, a unix edge, or a target with Linux 5.19");
    return false;
  }
  if (!plan.features.Has(Feature::kSeccompWaitKillable)) {
    plan.Refuse(at.place, "network", "E0570",
                fmt::format("on `{}` a call would be made twice when a signal comes: the broker "
                            "needs `seccomp-wait-killable`",
                            plan.enclave.target.name),
                "choices: ports alone in `tcp.connect`, a unix edge, or a target with Linux 5.19");
    return false;
  }
  const auto makes = std::ranges::find_if(network.unix_listen, &UnixListen::by_component);
  if (makes == network.unix_listen.end() && network.tcp_bind.empty()) return true;
  plan.Refuse(
      makes != network.unix_listen.end() ? makes->at.place : network.tcp_bind.front().at.place,
      "network", "E0572",
      fmt::format("`{}` makes listeners of its own, and the broker makes its connections",
                  plan.policy.name),
      "to bind and listen it would need calls by which its other sockets get round the "
      "broker: let the supervisor open them, `tcp.listen`, or `unix.listen` without `by: "
      "component`");
  return false;
}

void WriteRows(ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  const bool sends = UsesUdp(network) || plan.IsLinked();
  const std::vector<Control> controls{
      {Layer::kBroker, "addresses that the policy names, by its own copy of what the call names"},
      {Layer::kSeccomp, sends ? "connect, bind and messages with an address or with control data "
                                "are the broker's"
                              : "connect and bind are the broker's"}};
  const auto row = [&](std::string_view statement, bool stated, std::string note = {}) {
    if (stated) {
      plan.Row(statement, controls, Status::kEnforced, Recorder::kBroker, std::move(note));
    }
  };
  row("network.tcp.connect", !network.tcp_connect.empty() || !network.tcp_connect_to.empty(),
      network.tcp_connect.empty() ? "" : "a port without `to` is any address");
  row("network.udp.connect", !network.udp_connect.empty(),
      "who sends is not told apart: a bound socket takes datagrams of anybody");
  row("network.udp.bind", !network.udp_bind.empty(), "at any address of this machine");
  row("network.vsock.connect", !network.vsock_connect.empty());
}

}  // namespace

bool UsesUdp(const NetworkPolicy& network) {
  return !network.udp_connect.empty() || !network.udp_bind.empty();
}

bool UsesBroker(const NetworkPolicy& network) {
  return !network.tcp_connect_to.empty() || UsesUdp(network) || !network.vsock_connect.empty();
}

void PlanBroker(ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  if (!UsesBroker(network) || !CanBroker(plan)) return;
  plan.Need(Feature::kSeccompNotify, 1, "network");
  plan.Need(Feature::kPidfd, 1, "network");
  plan.Need(Feature::kSeccompWaitKillable, 1, "network");
  const bool internet =
      UsesUdp(network) || !network.tcp_connect.empty() || !network.tcp_connect_to.empty();
  if (internet) plan.profile.network = Network::kShared;
  if (internet && !BrokerKeepsFromAbstract(plan) &&
      !KeepsFromAbstract(plan, FirstStatement(network).place)) {
    return;
  }
  AddRules(plan);
  AddSockets(plan);
  TakeCalls(plan);
  WriteRows(plan);
}

}  // namespace bulkhead
