// SPDX-License-Identifier: Apache-2.0
// Sockets: connecting and listening.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compiler/asked.h"
#include "compiler/planner.h"
#include "compiler/resolve_calls.h"
#include "compiler/ways_round.h"
#include "policy/scalars.h"
#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr uint64_t kSockSeqpacket = 5;

CallForm MakesSocket(uint64_t family, uint64_t type) {
  return {"socket", {Equal(0, 32, family), MaskedEqual(1, 32, kSockTypeMask, type)}};
}

struct Transport {
  uint64_t family;
  uint64_t type;
};

std::vector<Transport> TransportsOf(const Endpoint& endpoint) {
  switch (endpoint.kind) {
    case Endpoint::Kind::kTcp:
    case Endpoint::Kind::kUdp: {
      const uint64_t type = endpoint.kind == Endpoint::Kind::kTcp ? kSockStream : kSockDgram;
      if (endpoint.address.empty() || endpoint.is_name) {
        return {{kAfInet, type}, {kAfInet6, type}};
      }
      const bool six = endpoint.address.find(':') != std::string::npos;
      return {{six ? kAfInet6 : kAfInet, type}};
    }
    case Endpoint::Kind::kVsock:
      return {{kAfVsock, kSockStream}, {kAfVsock, kSockSeqpacket}, {kAfVsock, kSockDgram}};
    default:
      return {{kAfUnix, kSockStream}, {kAfUnix, kSockSeqpacket}};
  }
}

bool IsInternet(const Endpoint& endpoint) {
  return endpoint.kind == Endpoint::Kind::kTcp || endpoint.kind == Endpoint::Kind::kUdp;
}

ControlVerdict NamespaceVerdict(const Asked& asked, bool listens) {
  const bool shared = asked.profile.network == Network::kShared;
  // In an empty namespace ports can be had, and nobody comes.
  return {Layer::kNamespace, shared || listens ? Verdict::kAllow : Verdict::kDeny,
          shared ? "in the enclave's network" : "in an empty network namespace",
          asked.Id("network"), Recorder::kNone};
}

// The broker's rule is nearer to the object than `network`, which is above it.
void LeaveTheRule(ControlVerdict& verdict) {
  if (verdict.verdict == Verdict::kAllow) verdict.rule.clear();
}

std::optional<ControlVerdict> PortVerdict(const Asked& asked, bool listens, uint32_t port) {
  const LandlockPlan& plan = asked.profile.landlock;
  const uint64_t access = listens ? landlock::kBindTcp : landlock::kConnectTcp;
  if ((plan.handled_net & access) == 0) return std::nullopt;
  const auto rule = std::ranges::find_if(plan.ports, [&](const LandlockPort& item) {
    return item.port == port && (item.access & access) != 0;
  });
  if (rule == plan.ports.end()) {
    return ControlVerdict{Layer::kLandlock, Verdict::kDeny, "no rule for this port: EACCES",
                          asked.Id("network"),
                          plan.log ? Recorder::kLandlockRecord : Recorder::kNone};
  }
  return ControlVerdict{Layer::kLandlock, Verdict::kAllow, "the port is granted, for any address",
                        rule->rule, Recorder::kNone};
}

void AddPortNote(Asked& asked, const Attempt& attempt) {
  const Endpoint& endpoint = asked.question.endpoint;
  if (endpoint.address.empty() || Worst(attempt.controls) == Verdict::kDeny) return;
  asked.note = "no control tells addresses apart: the port is any address";
}

// --- the broker ---

bool Brokers(const ProfileData& profile, std::string_view call) {
  const auto nr = SyscallNumber(profile.arch, call);
  return nr && std::ranges::binary_search(profile.broker.calls, *nr);
}

BrokerKind KindOf(const Endpoint& endpoint, bool listens) {
  if (endpoint.kind == Endpoint::Kind::kVsock) return BrokerKind::kVsockConnect;
  if (endpoint.kind == Endpoint::Kind::kTcp) return BrokerKind::kTcpConnect;
  return listens ? BrokerKind::kUdpBind : BrokerKind::kUdpSend;
}

// The number behind an address as it was asked about; nothing: no rule can name it.
std::optional<uint32_t> AddressOf(const Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::kVsock) {
    if (endpoint.address == "parent") return kVsockParent;
    const auto cid = ParseInteger(endpoint.address);
    return cid ? std::optional(static_cast<uint32_t>(*cid)) : std::nullopt;
  }
  return ParseIpv4(endpoint.address);
}

const BrokerRule* FindRule(const Asked& asked, bool listens) {
  const Endpoint& endpoint = asked.question.endpoint;
  const bool open = endpoint.address.empty() || endpoint.is_name;
  const auto address = open ? std::nullopt : AddressOf(endpoint);
  const auto rule = std::ranges::find_if(asked.profile.broker.rules, [&](const BrokerRule& item) {
    if (item.kind != KindOf(endpoint, listens) || item.port != endpoint.port) return false;
    return item.any || open || (address && *address == item.address);
  });
  return rule == asked.profile.broker.rules.end() ? nullptr : &*rule;
}

ControlVerdict BrokerVerdict(Asked& asked, bool listens) {
  const Endpoint& endpoint = asked.question.endpoint;
  ControlVerdict verdict{Layer::kBroker, Verdict::kDeny, "no rule for this address: EPERM",
                         asked.Id("network"), Recorder::kBroker};
  if (endpoint.kind == Endpoint::Kind::kUnix) {
    if (!asked.profile.broker.paths) return verdict;
    verdict.verdict = Verdict::kAllow;
    verdict.text = "a path is left to the view and the modes";
    return verdict;
  }
  if (endpoint.kind == Endpoint::Kind::kAbstract) {
    verdict.text = "names without a path are refused: EPERM";
    return verdict;
  }
  const BrokerRule* rule = FindRule(asked, listens);
  verdict.rule = asked.Id(BrokerStatement(asked.profile.broker, KindOf(endpoint, listens)));
  if (rule == nullptr) return verdict;
  verdict.verdict = Verdict::kAllow;
  verdict.rule = rule->rule;
  verdict.text = rule->any ? "the port is granted, for any address" : "the address is granted";
  verdict.recorder = Recorder::kNone;
  if (rule->any || !(endpoint.address.empty() || endpoint.is_name)) return verdict;
  verdict.verdict = Verdict::kUndecided;
  verdict.text = "to the addresses that are named alone";
  if (endpoint.address.empty()) {
    asked.note = "the answer hangs on the address: give it as tcp:ADDRESS:PORT";
  }
  return verdict;
}

ControlVerdict NoListener(const Asked& asked) {
  return {Layer::kBroker, Verdict::kDeny, "the broker makes no listener: EPERM",
          asked.Id("network"), Recorder::kBroker};
}

// --- unix sockets by path ---

const Listener* FindListener(const ProfileData& profile, std::string_view path) {
  const auto found = std::ranges::find(profile.listeners, path, &Listener::path);
  return found == profile.listeners.end() ? nullptr : &*found;
}

const EdgeDirectory* FindEdge(const ProfileData& profile, std::string_view directory) {
  const auto found = std::ranges::find(profile.edges, directory, &EdgeDirectory::path);
  return found == profile.edges.end() ? nullptr : &*found;
}

// Whether somebody listens there, or may.
bool SomebodyListens(const BundleData& enclave, const std::string& path,
                     std::string_view directory) {
  return std::ranges::any_of(enclave.components, [&](const ProfileData& profile) {
    const EdgeDirectory* edge = FindEdge(profile, directory);
    return FindListener(profile, path) != nullptr || (edge != nullptr && edge->server);
  });
}

const ViewEntry* Nearest(const ProfileData& profile, std::string_view path) {
  const ViewEntry* best = nullptr;
  for (const ViewEntry& entry : profile.view) {
    if (!Covers(entry.path, path)) continue;
    if (best == nullptr || entry.path.size() > best->path.size()) best = &entry;
  }
  return best;
}

constexpr std::string_view kNotifySocket = "/run/notify/socket";  // sandbox/view.h

ControlVerdict ConnectPath(Asked& asked, const std::string& path) {
  const ProfileData& profile = asked.profile;
  ControlVerdict verdict{Layer::kView, Verdict::kDeny, "not in the view: ENOENT",
                         asked.Id("network"), Recorder::kNone};
  const ViewEntry* entry = Nearest(profile, path);
  if (entry == nullptr) return verdict;
  verdict.rule = entry->rule;
  switch (entry->kind) {
    case ViewKind::kEdge: {
      const std::string directory = path.substr(0, path.rfind('/'));
      verdict.verdict =
          SomebodyListens(asked.enclave, path, directory) ? Verdict::kAllow : Verdict::kDeny;
      verdict.text = verdict.verdict == Verdict::kAllow ? "the edge's directory is in the view"
                                                        : "nobody listens there: ENOENT";
      return verdict;
    }
    case ViewKind::kPrivate:
    case ViewKind::kRuntime:
      verdict.text = "in a tmpfs of its own there are only its own sockets";
      return verdict;
    case ViewKind::kTripwire:
      verdict.text = "an empty tripwire stands there";
      return verdict;
    default:
      verdict.verdict = Verdict::kAllow;
      verdict.text = fmt::format("in the view by {}", entry->path);
      asked.note = "whether a socket is there, and who may connect to it, is on the disk";
      return verdict;
  }
}

ControlVerdict ListenPath(Asked& asked, const std::string& path) {
  const ProfileData& profile = asked.profile;
  const ViewEntry* entry = Nearest(profile, path);
  const bool shm = entry == nullptr && path.starts_with("/dev/shm/");
  ControlVerdict verdict{Layer::kView, Verdict::kDeny, "not in the view: ENOENT",
                         asked.Id("network"), Recorder::kNone};
  if (entry != nullptr) verdict.rule = entry->rule;
  if (entry != nullptr && IsReadOnlyBind(entry->kind)) {
    verdict.text = "on a read-only mount: EROFS";
  } else if (entry != nullptr && entry->path == path) {
    verdict.text = "it is there: EADDRINUSE";
  } else if (entry != nullptr || shm) {
    verdict.verdict = Verdict::kAllow;
    verdict.text = shm ? "on the /dev/shm of its own" : fmt::format("beneath {}", entry->path);
  }
  return verdict;
}

std::optional<ControlVerdict> MakeSocketVerdict(const Asked& asked, const std::string& path) {
  const LandlockPlan& plan = asked.profile.landlock;
  if ((plan.handled_files & landlock::kMakeSock) == 0) return std::nullopt;
  const std::string_view directory = std::string_view(path).substr(0, path.rfind('/'));
  for (const LandlockRule& rule : plan.rules) {
    if (!Covers(rule.path, directory) || (rule.access & landlock::kMakeSock) == 0) continue;
    return ControlVerdict{Layer::kLandlock, Verdict::kAllow, "fs.make_sock is granted", rule.rule,
                          Recorder::kNone};
  }
  return ControlVerdict{Layer::kLandlock, Verdict::kDeny, "fs.make_sock is not granted: EACCES",
                        asked.Id("network"),
                        plan.log ? Recorder::kLandlockRecord : Recorder::kNone};
}

std::optional<ControlVerdict> EdgeOwner(const Asked& asked, const std::string& path) {
  const EdgeDirectory* edge = FindEdge(asked.profile, path.substr(0, path.rfind('/')));
  if (edge == nullptr || edge->server) return std::nullopt;
  return ControlVerdict{Layer::kOwnership, Verdict::kDeny, "the edge is its server's: EACCES",
                        edge->rule, Recorder::kNone};
}

// Names are those of a network namespace: where it has its own, the kernel finds nobody, and asks
// Landlock nothing.
std::vector<ControlVerdict> ConnectAbstract(const Asked& asked) {
  std::vector<ControlVerdict> verdicts{NamespaceVerdict(asked, false)};
  if (verdicts[0].verdict == Verdict::kDeny) {
    verdicts[0].text =
        "in a network namespace of its own there are only its own names: ECONNREFUSED";
  }
  if ((asked.profile.landlock.scoped & landlock::kScopeAbstractUnix) != 0) {
    verdicts.push_back({Layer::kLandlock, Verdict::kDeny,
                        "out of its scope, but for its own: EPERM", asked.Id("network"),
                        asked.profile.landlock.log ? Recorder::kLandlockRecord : Recorder::kNone});
  }
  return verdicts;
}

// --- all of them ---

Attempt ConnectBy(Asked& asked, const Transport& transport) {
  const Endpoint& endpoint = asked.question.endpoint;
  Attempt attempt;
  const bool brokered = Brokers(asked.profile, "connect");
  attempt.calls = {MakesSocket(transport.family, transport.type)};
  if (brokered) {
    attempt.controls.push_back(BrokerVerdict(asked, false));
  } else {
    attempt.calls.push_back({"connect", {}});
    attempt.decided_at = 1;
  }
  if (IsInternet(endpoint)) {
    attempt.controls.push_back(NamespaceVerdict(asked, false));
    if (brokered) {
      LeaveTheRule(attempt.controls.back());
      return attempt;
    }
    if (endpoint.kind == Endpoint::Kind::kTcp) {
      if (auto verdict = PortVerdict(asked, false, endpoint.port)) {
        attempt.controls.push_back(std::move(*verdict));
      }
    }
    AddPortNote(asked, attempt);
  } else if (endpoint.kind == Endpoint::Kind::kUnix) {
    attempt.controls.push_back(ConnectPath(asked, endpoint.address));
  } else if (endpoint.kind == Endpoint::Kind::kAbstract) {
    for (ControlVerdict& verdict : ConnectAbstract(asked)) {
      attempt.controls.push_back(std::move(verdict));
    }
  }
  return attempt;
}

Attempt ListenBy(Asked& asked, const Transport& transport) {
  const Endpoint& endpoint = asked.question.endpoint;
  Attempt attempt;
  if (IsInternet(endpoint) && Brokers(asked.profile, "bind")) {
    attempt.calls = {MakesSocket(transport.family, transport.type)};
    attempt.controls = {
        endpoint.kind == Endpoint::Kind::kUdp ? BrokerVerdict(asked, true) : NoListener(asked),
        NamespaceVerdict(asked, true)};
    LeaveTheRule(attempt.controls.back());
    return attempt;
  }
  attempt.calls = {MakesSocket(transport.family, transport.type), {"bind", {}}};
  attempt.decided_at = 1;
  if (endpoint.kind != Endpoint::Kind::kUdp) attempt.calls.push_back({"listen", {}});
  if (IsInternet(endpoint)) {
    attempt.controls.push_back(NamespaceVerdict(asked, true));
    if (endpoint.kind == Endpoint::Kind::kTcp) {
      if (auto verdict = PortVerdict(asked, true, endpoint.port)) {
        attempt.controls.push_back(std::move(*verdict));
      }
    }
  } else if (endpoint.kind == Endpoint::Kind::kUnix) {
    attempt.controls.push_back(ListenPath(asked, endpoint.address));
    for (auto verdict :
         {EdgeOwner(asked, endpoint.address), MakeSocketVerdict(asked, endpoint.address)}) {
      if (verdict) attempt.controls.push_back(std::move(*verdict));
    }
  } else if (endpoint.kind == Endpoint::Kind::kAbstract) {
    attempt.controls.push_back({Layer::kNamespace, Verdict::kAllow,
                                "the names of its network namespace are free to be taken",
                                asked.Id("network"), Recorder::kNone});
  }
  return attempt;
}

// A listener that the supervisor opened: nothing is left to be done for it.
const Listener* HandedOver(const Asked& asked) {
  const Endpoint& endpoint = asked.question.endpoint;
  for (const Listener& listener : asked.profile.listeners) {
    const bool here = endpoint.address.empty() || endpoint.address == listener.address;
    if (endpoint.kind == Endpoint::Kind::kTcp && listener.kind == ListenerKind::kTcp &&
        listener.port == endpoint.port && here) {
      return &listener;
    }
    // Of any CID, whichever is asked about.
    if (endpoint.kind == Endpoint::Kind::kVsock && listener.kind == ListenerKind::kVsock &&
        listener.port == endpoint.port) {
      return &listener;
    }
    if (endpoint.kind == Endpoint::Kind::kUnix && listener.kind == ListenerKind::kUnixStream &&
        listener.path == endpoint.address) {
      return &listener;
    }
  }
  return nullptr;
}

// sd_notify sends a datagram; that is all that its socket takes.
void AddNotify(Asked& asked, Attempts& attempts) {
  const Endpoint& endpoint = asked.question.endpoint;
  if (endpoint.kind != Endpoint::Kind::kUnix || endpoint.address != kNotifySocket ||
      asked.profile.lifecycle.ready.kind != ReadyKind::kNotify) {
    return;
  }
  std::vector<CallForm> calls{MakesSocket(kAfUnix, kSockDgram)};
  if (!Brokers(asked.profile, "connect")) calls.push_back({"connect", {}});
  attempts.push_back({std::move(calls),
                      {{Layer::kView, Verdict::kAllow, "the readiness socket", asked.Id("ready"),
                        Recorder::kNone}}});
}

}  // namespace

Asking AttemptNetwork(Asked& asked) {
  const bool listens = asked.question.action == Action::kListen;
  Attempts attempts;
  if (const Listener* listener = listens ? HandedOver(asked) : nullptr) {
    attempts.push_back({{},
                        {{Layer::kDescriptor, Verdict::kAllow,
                          "opened by the supervisor as `" + listener->name + "`", listener->rule,
                          Recorder::kNone}}});
    return attempts;
  }
  for (const Transport& transport : TransportsOf(asked.question.endpoint)) {
    attempts.push_back(listens ? ListenBy(asked, transport) : ConnectBy(asked, transport));
  }
  if (!listens) AddNotify(asked, attempts);
  if (asked.question.endpoint.is_name) {
    for (Attempt& attempt : attempts) {
      if (Worst(attempt.controls) == Verdict::kDeny) continue;
      const auto broker =
          std::ranges::find(attempt.controls, Layer::kBroker, &ControlVerdict::layer);
      ControlVerdict& control =
          broker == attempt.controls.end() ? attempt.controls.front() : *broker;
      control.verdict = Verdict::kUndecided;
      asked.note = fmt::format(
          "which address stands behind `{}`, and whether it can be looked up, is not known here; "
          "{} addresses apart",
          asked.question.endpoint.address,
          Brokers(asked.profile, "connect") ? "the broker tells" : "no control tells");
    }
  }
  return attempts;
}

}  // namespace bulkhead
