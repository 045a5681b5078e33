// SPDX-License-Identifier: Apache-2.0
// Sockets: which families may be made at all, listeners handed over, unix edges, TCP ports.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/identity.h"
#include "compiler/planner.h"
#include "compiler/resolve_calls.h"
#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr uint64_t kAfUnix = 1;
constexpr uint64_t kAfInet = 2;
constexpr uint64_t kAfInet6 = 10;
constexpr uint64_t kSockStream = 1;
constexpr uint64_t kSockDgram = 2;
constexpr uint64_t kSockSeqpacket = 5;
constexpr uint64_t kTypeMask = ~uint64_t{02004000} & 0xffffffff;  // without NONBLOCK and CLOEXEC
constexpr uint64_t kIpprotoTcp = 6;

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool Owns(const ComponentPlan& plan, std::string_view name) {
  const auto nr = SyscallNumber(plan.enclave.target.arch, name);
  return std::any_of(plan.owned_calls.begin(), plan.owned_calls.end(),
                     [&](const CallRule& rule) { return nr && rule.nr == *nr; });
}

struct Edge {
  bool server = false;
  std::string rule;  // the first by name of those about sockets in the directory
};

using Edges = std::map<std::string, Edge>;  // by directory

void AddSocket(Edges& edges, const std::string& socket, bool server, const Statement& at) {
  Edge& edge = edges[DirectoryOf(socket)];
  edge.server |= server;
  if (edge.rule.empty() || at.id < edge.rule) edge.rule = at.id;
}

void PlanEdges(ComponentPlan& plan) {
  Edges edges;
  for (const UnixListen& listen : plan.policy.network.unix_listen) {
    AddSocket(edges, listen.path, listen.by_component, listen.at);
  }
  for (const Text& connect : plan.policy.network.unix_connect) {
    AddSocket(edges, connect.value, false, connect.at);
  }
  for (const auto& [directory, edge] : edges) {
    const uint32_t group = EdgeId(plan.enclave.policy.enclave, directory);
    plan.profile.edges.push_back({directory, group, edge.server, edge.rule});
    plan.profile.groups.push_back(group);
    plan.profile.view.push_back({.path = directory, .kind = ViewKind::kEdge, .rule = edge.rule});
    if (!edge.server) continue;
    AddLandlockRule(plan, directory,
                    landlock::kMakeSock | landlock::kRemoveFile | landlock::kReadDir, false,
                    edge.rule);
  }
}

void PlanUnix(ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  PlanEdges(plan);
  for (const UnixListen& listen : network.unix_listen) {
    if (listen.by_component) continue;
    plan.profile.listeners.push_back({.name = listen.name,
                                      .kind = ListenerKind::kUnixStream,
                                      .path = listen.path,
                                      .address = {},
                                      .port = 0,
                                      .nonblocking = listen.nonblocking,
                                      .rule = listen.at.id});
  }
  const bool listens = !network.unix_listen.empty();
  const bool makes = std::any_of(network.unix_listen.begin(), network.unix_listen.end(),
                                 [](const UnixListen& listen) { return listen.by_component; });
  const bool notifies = plan.policy.lifecycle.ready.kind == ReadyKind::kNotify;
  std::vector<Conjunction> sockets;
  if (makes || !network.unix_connect.empty())
    sockets.push_back(SocketArguments(kAfUnix, kSockStream, 0));
  // sd_notify sends a datagram to the readiness socket.
  if (notifies) sockets.push_back(SocketArguments(kAfUnix, kSockDgram, 0));
  if (!sockets.empty()) {
    plan.Own("socket", sockets);
    if (UsesBroker(network)) {
      plan.profile.broker.paths = true;
    } else {
      plan.Own("connect");
    }
  }
  if (makes) {
    plan.Own("bind");
    plan.Own("listen");
  }
  // With instances the supervisor accepts.
  const bool accepts = listens || !network.tcp_listen.empty() || !network.vsock_listen.empty();
  if (accepts && plan.policy.instances.at_most == 0) {
    plan.Own("accept");
    plan.Own("accept4");
    // Some programs call it again on the listener that they were given, which listens already.
    plan.skipped.emplace_back("listen");
  }
  // A pair reaches nobody but its maker; an end that sends datagrams would send to any name.
  plan.Own("socketpair",
           {SocketArguments(kAfUnix, kSockStream, 0), SocketArguments(kAfUnix, kSockSeqpacket, 0)});

  const std::vector<Control> controls{
      {Layer::kOwnership, "the edge's own group on directory and socket"},
      {Layer::kView, "the edge's directory alone is in the view"},
      {Layer::kSeccomp, notifies ? "no socket but unix stream, and unix datagram for sd_notify"
                                 : "no socket but unix stream"}};
  const std::string note = "a socket outside the edges is not in the view (ENOENT, not recorded)";
  if (listens) plan.Row("network.unix.listen", controls, Status::kEnforced, Recorder::kNone, note);
  if (!network.unix_connect.empty()) {
    plan.Row("network.unix.connect", controls, Status::kEnforced, Recorder::kNone, note);
  }
}

// A socket that was handed over, or accepted, is of the enclave's network, not of the component's
// empty one: shut down or dissolved it could be connected or bound anew, by this component if it
// may call connect or bind for unix sockets (a filter can't tell them apart), or by another one to
// which it is passed on.
Status GuardListeners(ComponentPlan& plan, std::vector<Control>& controls) {
  const NetworkPolicy& network = plan.policy.network;
  if (plan.LandlockAbi() >= landlock::kNetAbi) {
    controls.push_back({Layer::kLandlock, "the socket can't be connected or bound anew"});
    return Status::kEnforced;
  }
  if (plan.features.Has(Feature::kConnectGuard)) {
    plan.Need(Feature::kConnectGuard, 1, "network.tcp.listen");
    for (Listener& listener : plan.profile.listeners) {
      listener.guarded = listener.kind == ListenerKind::kTcp;
    }
    controls.push_back(
        {Layer::kCgroup, "programs of the socket's cgroup refuse to connect or bind it anew"});
    return Status::kSubstituted;
  }
  if (!plan.IsLinked() && !Owns(plan, "connect") && !Owns(plan, "bind")) return Status::kEnforced;
  if (plan.enclave.waivers.Use(plan.policy.name, "network.tcp.listen") == nullptr) {
    plan.Refuse(
        network.tcp_listen.front().at.place, "network.tcp.listen", "E0549",
        fmt::format("`{}` can't keep this component from turning its listener into a connection "
                    "to anywhere, itself or by passing it on",
                    plan.enclave.target.name),
        "choices: a target with Linux 6.7 (Landlock ABI 4) or with `connect-guard` (Linux 4.17, "
        "cgroup v2); no edge, channel or `ready: notify` in this component; a waiver of "
        "`network.tcp.listen`");
  }
  return Status::kWaived;
}

void PlanTcpListen(ComponentPlan& plan) {
  for (const TcpListen& listen : plan.policy.network.tcp_listen) {
    plan.profile.listeners.push_back({.name = listen.name,
                                      .kind = ListenerKind::kTcp,
                                      .path = {},
                                      .address = listen.address,
                                      .port = listen.port,
                                      .nonblocking = listen.nonblocking,
                                      .rule = listen.at.id});
  }
  const NetworkPolicy& network = plan.policy.network;
  if (network.tcp_listen.empty()) return;
  std::vector<Control> controls{
      {Layer::kDescriptor, "the supervisor binds the port and hands the socket over, listening"},
      {Layer::kNamespace, "no network of its own to bind another one in"},
      {Layer::kSeccomp,
       Owns(plan, "listen")
           ? "bind and internet sockets are refused"
           : "bind and internet sockets are refused; listen is answered 0 without being made"}};
  const Status status = GuardListeners(plan, controls);
  const bool notify = plan.features.Has(Feature::kSeccompNotify);
  plan.Row("network.tcp.listen", std::move(controls), status,
           notify ? Recorder::kNotification : Recorder::kNone,
           notify ? "" : "this kernel has no listeners");
}

// The kernel connects and binds none of them anew: a vsock listener stays one, shutdown(2) is
// ENOTCONN and no address dissolves it; what it accepts is connected for good and never listens
// (net/vmw_vsock/af_vsock.c; vsock_test.py asks the kernel).
void PlanVsockListen(ComponentPlan& plan) {
  const auto& listens = plan.policy.network.vsock_listen;
  if (listens.empty()) return;
  for (const VsockListen& listen : listens) {
    plan.profile.listeners.push_back({.name = listen.name,
                                      .kind = ListenerKind::kVsock,
                                      .path = {},
                                      .address = {},
                                      .port = listen.port,
                                      .nonblocking = listen.nonblocking,
                                      .rule = listen.at.id});
  }
  const bool notify = plan.features.Has(Feature::kSeccompNotify);
  plan.Row("network.vsock.listen",
           {{Layer::kDescriptor,
             "the supervisor binds the port, for any CID, and hands the socket over, listening"},
            {Layer::kSeccomp,
             "vsock sockets are refused; the kernel connects and binds neither the "
             "listener nor what it accepts anew"}},
           Status::kEnforced, notify ? Recorder::kNotification : Recorder::kNone,
           notify ? "who connects is for the host to say"
                  : "who connects is for the host to say; this kernel has no listeners");
}

// Ports that the component binds or connects to itself need the enclave's network namespace, and
// then Landlock to tell the ports apart.
void PlanTcpPorts(ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  if (network.tcp_bind.empty() && network.tcp_connect.empty()) return;
  if (UsesBroker(network)) return;  // see plan_broker.cc
  const bool binds = !network.tcp_bind.empty();
  const Statement& at = binds ? network.tcp_bind.front().at : network.tcp_connect.front().at;
  plan.profile.network = Network::kShared;
  const auto abi = static_cast<int>(plan.LandlockAbi());
  const bool waived = abi < landlock::kNetAbi &&
                      plan.enclave.waivers.Use(plan.policy.name, "network.tcp") != nullptr;
  if (abi < landlock::kNetAbi && !waived) {
    plan.Refuse(
        at.place, "network.tcp", "E0530",
        fmt::format("`{}` can't limit TCP ports: Landlock ABI {} is needed, it has {}",
                    plan.enclave.target.name, landlock::kNetAbi, abi),
        fmt::format("choices: {}a unix edge, a target with Linux 6.7, or waivers of `network.tcp` "
                    "and `network.unix`",
                    binds ? "`tcp.listen` (opened by the supervisor), " : ""));
    return;
  }
  if (!KeepsFromAbstract(plan, at.place)) return;
  std::map<uint16_t, LandlockPort> ports;
  const auto add = [&](const std::vector<TcpPort>& list, uint64_t access) {
    for (const TcpPort& port : list) {
      LandlockPort& entry = ports[port.port];
      entry.port = port.port;
      entry.access |= access;
      if (entry.rule.empty()) entry.rule = port.at.id;
    }
  };
  add(network.tcp_bind, landlock::kBindTcp);
  add(network.tcp_connect, landlock::kConnectTcp);
  if (!waived) {
    for (const auto& [number, port] : ports) plan.profile.landlock.ports.push_back(port);
    plan.Need(Feature::kLandlock, landlock::kNetAbi, "network.tcp");
  }
  std::vector<Conjunction> sockets;
  for (const uint64_t domain : {kAfInet, kAfInet6}) {
    sockets.push_back(SocketArguments(domain, kSockStream, 0));
    sockets.push_back(SocketArguments(domain, kSockStream, kIpprotoTcp));
  }
  plan.Own("socket", sockets);
  if (!network.tcp_connect.empty()) plan.Own("connect");
  if (!network.tcp_bind.empty()) {
    for (const char* call : {"bind", "listen", "accept", "accept4"}) plan.Own(call);
  }
  std::vector<Control> controls{
      {Layer::kSeccomp, "internet sockets are TCP streams only; no TCP fast open by flags"}};
  if (!waived) controls.insert(controls.begin(), {Layer::kLandlock, "these ports only"});
  const std::string note = "a port is any address: an address can't be told apart here";
  for (const auto& [key, list] : {std::pair("network.tcp.bind", &network.tcp_bind),
                                  std::pair("network.tcp.connect", &network.tcp_connect)}) {
    if (list->empty()) continue;
    plan.Row(key, controls, waived ? Status::kWaived : Status::kEnforced,
             !waived && plan.HasRecords() ? Recorder::kLandlockRecord : Recorder::kNone,
             waived ? "any port, by waiver; " + note : note);
  }
}

}  // namespace

// In the enclave's network there are names of unix sockets that anybody may connect to. False after
// an error.
bool KeepsFromAbstract(ComponentPlan& plan, const Place& place) {
  if (plan.LandlockAbi() >= landlock::kScopeAbi ||
      plan.enclave.waivers.Use(plan.policy.name, "network.unix") != nullptr) {
    return true;
  }
  plan.Refuse(place, "network", "E0531",
              fmt::format("`{}` can't keep this component from abstract unix sockets in the "
                          "enclave's network: Landlock ABI {} is needed, it has {}",
                          plan.enclave.target.name, landlock::kScopeAbi, plan.LandlockAbi()),
              "choices: no TCP ports of the component's own, as the empty network namespace closes "
              "them; a target with Linux 6.12; or a waiver of `network.unix`");
  return false;
}

// The broker connects no socket to a name without a path. What it doesn't take are datagrams to
// such a name.
bool BrokerKeepsFromAbstract(const ComponentPlan& plan) {
  const NetworkPolicy& network = plan.policy.network;
  return UsesBroker(network) &&
         (UsesUdp(network) || plan.policy.lifecycle.ready.kind != ReadyKind::kNotify);
}

Conjunction SocketArguments(uint64_t domain, uint64_t type, uint64_t protocol) {
  return {Equal(0, 32, domain), MaskedEqual(1, 32, kTypeMask, type), Equal(2, 32, protocol)};
}

void ComponentPlan::Own(std::string_view name, std::vector<Conjunction> allow) {
  owned_calls.push_back(MakeRule(enclave.target.arch, name, std::move(allow)));
}

bool ComponentPlan::IsLinked() const {
  const auto& channels = enclave.policy.channels;
  return !policy.network.unix_listen.empty() || !policy.network.unix_connect.empty() ||
         std::any_of(channels.begin(), channels.end(), [&](const ChannelPolicy& channel) {
           return channel.from.value == policy.name || channel.to.value == policy.name;
         });
}

void PlanNetwork(ComponentPlan& plan) {
  PlanUnix(plan);
  PlanTcpPorts(plan);
  PlanBroker(plan);
  PlanTcpListen(plan);
  PlanVsockListen(plan);
  std::sort(plan.profile.groups.begin(), plan.profile.groups.end());
  const bool notify = plan.features.Has(Feature::kSeccompNotify);
  const Recorder recorder = notify ? Recorder::kNotification : Recorder::kNone;
  const std::string silent = notify ? "" : "this kernel has no listeners";
  if (plan.profile.network == Network::kNone) {
    plan.Need(Feature::kNetNamespace, 1, "network");
    plan.Row("network",
             {{Layer::kNamespace, "an empty network namespace"},
              {Layer::kSeccomp, "no socket but what the statements below need"}},
             Status::kEnforced, recorder,
             silent + (silent.empty() ? "" : "; ") +
                 "what a permitted socket finds in the empty namespace (ECONNREFUSED, ENETUNREACH) "
                 "is not recorded");
  } else {
    std::vector<Control> controls{
        {Layer::kSeccomp, "no socket but what the statements below need"}};
    const bool scoped = plan.profile.landlock.scoped != 0;
    const bool kept = BrokerKeepsFromAbstract(plan);
    if (scoped) {
      controls.push_back({Layer::kLandlock, "abstract unix sockets of others are out of scope"});
    }
    if (kept) controls.push_back({Layer::kBroker, "no socket is connected to an abstract name"});
    plan.Row("network", std::move(controls), scoped || kept ? Status::kEnforced : Status::kWaived,
             recorder,
             scoped || kept ? silent : "abstract unix sockets in the enclave's network, by waiver");
  }
}

}  // namespace bulkhead
