// SPDX-License-Identifier: Apache-2.0
// Other components, assets and capabilities.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "compiler/asked.h"
#include "compiler/planner.h"
#include "compiler/resolve_calls.h"
#include "policy/text.h"
#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

const ProfileData* FindComponent(const BundleData& enclave, std::string_view name) {
  const auto found = std::ranges::find(enclave.components, name, &ProfileData::name);
  return found == enclave.components.end() ? nullptr : &*found;
}

ControlVerdict OutOfSight(const Asked& asked) {
  return {Layer::kNamespace, Verdict::kDeny, "no process of it is in this PID namespace: ESRCH",
          asked.Id("user"), Recorder::kNone};
}

ControlVerdict OtherUid(const Asked& asked, const ProfileData& other) {
  return {Layer::kOwnership, Verdict::kDeny,
          fmt::format("uid {} is not uid {}", asked.profile.uid, other.uid), asked.Id("user"),
          Recorder::kNone};
}

Attempts SignalWays(const Asked& asked, const ProfileData& other) {
  const bool own = other.name == asked.profile.name;
  Attempts attempts;
  for (const std::string_view call :
       {"kill", "tgkill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"}) {
    Attempt attempt;
    attempt.calls = {{call, {}}};
    if (own) {
      attempt.controls.push_back({Layer::kNamespace, Verdict::kAllow,
                                  "its own processes are in its PID namespace", asked.Id("user"),
                                  Recorder::kNone});
    } else {
      attempt.controls.push_back(OutOfSight(asked));
      attempt.controls.push_back(OtherUid(asked, other));
      if ((asked.profile.landlock.scoped & landlock::kScopeSignal) != 0) {
        attempt.controls.push_back(
            {Layer::kLandlock, Verdict::kDeny, "out of its scope: EPERM", asked.Id("user"),
             asked.LogsLandlock() ? Recorder::kLandlockRecord : Recorder::kNone});
      }
    }
    attempts.push_back(std::move(attempt));
  }
  return attempts;
}

Attempts ProcessWays(const Asked& asked, const ProfileData& other,
                     std::initializer_list<std::string_view> calls) {
  const bool own = other.name == asked.profile.name;
  Attempts attempts;
  for (const std::string_view call : calls) {
    Attempt attempt;
    attempt.calls = {{call, {}}};
    if (!own) {
      attempt.controls.push_back(OutOfSight(asked));
      attempt.controls.push_back(OtherUid(asked, other));
    }
    attempts.push_back(std::move(attempt));
  }
  return attempts;
}

Attempts CapabilityWays(const Asked& asked) {
  return {{{},
           {{Layer::kCapability, Verdict::kDeny,
             "all five sets are empty and no_new_privs keeps them so", asked.Id("user"),
             Recorder::kNone}}}};
}

// --- what is between two components ---

Attempts Ask(Asked& asked, const Question& question) {
  Asked inner{asked.enclave, asked.profile, question,         asked.allowed,
              asked.startup, asked.sets,    asked.unenforced, {}};
  const bool network = Row(question.action).object == ObjectKind::kEndpoint;
  Attempts attempts;
  if (network) {
    if (auto found = AttemptNetwork(inner)) attempts = std::move(*found);
  } else {
    attempts = AttemptFile(inner);
  }
  return attempts;
}

void Append(Attempts& attempts, Attempts more) {
  attempts.insert(attempts.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
}

Question Connect(Endpoint::Kind kind, std::string address, uint32_t port) {
  Question question;
  question.action = Action::kConnect;
  question.endpoint = {kind, std::move(address), false, port};
  return question;
}

bool Allows(const ProfileData& profile, std::string_view call) {
  const auto nr = SyscallNumber(profile.arch, call);
  return nr &&
         Evaluate(WidestFilter(profile), {*nr, AuditArch(profile.arch), 0, {}}).action == kRetAllow;
}

// In the enclave's network, by waiver of its ports.
bool ListensAnywhere(const ProfileData& profile) {
  return (profile.landlock.handled_net & landlock::kBindTcp) == 0 && Allows(profile, "bind") &&
         Allows(profile, "listen");
}

// To which ports it connects, where they are told apart; else one for all.
std::vector<uint32_t> PortsOf(const ProfileData& profile) {
  const bool brokered = !profile.broker.calls.empty();
  if (!brokered && (profile.landlock.handled_net & landlock::kConnectTcp) == 0) return {1};
  std::vector<uint32_t> ports;
  for (const LandlockPort& port : profile.landlock.ports) {
    if ((port.access & landlock::kConnectTcp) != 0) ports.push_back(port.port);
  }
  for (const BrokerRule& rule : profile.broker.rules) {
    if (rule.kind == BrokerKind::kTcpConnect) ports.push_back(rule.port);
  }
  return ports;
}

// Where one has to go to come to the listener; empty: many addresses.
std::string AddressOf(const Listener& listener) {
  return listener.address == "0.0.0.0" ? std::string() : listener.address;
}

void AddEdges(Asked& asked, const ProfileData& other, Attempts& attempts) {
  for (const Listener& listener : other.listeners) {
    // Nobody but the host connects there: no component makes such a socket.
    if (listener.kind == ListenerKind::kVsock) continue;
    const bool tcp = listener.kind == ListenerKind::kTcp;
    Append(attempts,
           Ask(asked, tcp ? Connect(Endpoint::Kind::kTcp, AddressOf(listener), listener.port)
                          : Connect(Endpoint::Kind::kUnix, listener.path, 0)));
  }
  for (const EdgeDirectory& edge : other.edges) {
    if (!edge.server) continue;
    Append(attempts, Ask(asked, Connect(Endpoint::Kind::kUnix, edge.path + "/socket", 0)));
  }
  if (other.network != Network::kShared) return;
  if (ListensAnywhere(other)) {
    for (const uint32_t port : PortsOf(asked.profile)) {
      Append(attempts, Ask(asked, Connect(Endpoint::Kind::kTcp, {}, port)));
    }
  }
  for (const LandlockPort& port : other.landlock.ports) {
    if ((port.access & landlock::kBindTcp) == 0) continue;
    Append(attempts, Ask(asked, Connect(Endpoint::Kind::kTcp, {}, port.port)));
  }
  for (const BrokerRule& rule : other.broker.rules) {
    if (rule.kind != BrokerKind::kUdpBind) continue;
    Append(attempts, Ask(asked, Connect(Endpoint::Kind::kUdp, {}, rule.port)));
  }
}

void AddChannels(const Asked& asked, const ProfileData& other, Attempts& attempts) {
  for (const Channel& channel : asked.enclave.channels) {
    const bool forth = channel.from == asked.profile.name && channel.to == other.name;
    const bool connected = channel.kind == ChannelKind::kConnected;
    // Who is connected to answers, as over an edge.
    const bool back = channel.to == asked.profile.name && channel.from == other.name &&
                      !IsOneWay(channel.kind) && !connected;
    if (!forth && !back) continue;
    const std::string holds =
        connected ? fmt::format("is given a connection to {}{}, as the channel `{}`", channel.path,
                                channel.as_server ? " in its server's name" : "", channel.name)
                  : fmt::format("holds an end of the channel `{}`", channel.name);
    attempts.push_back(
        {{}, {{Layer::kDescriptor, Verdict::kAllow, holds, channel.rule, Recorder::kNone}}});
  }
}

Attempts ReachComponent(Asked& asked, const ProfileData& other) {
  Attempts attempts;
  AddChannels(asked, other, attempts);
  AddEdges(asked, other, attempts);
  Append(attempts, SignalWays(asked, other));
  Append(attempts, ProcessWays(asked, other, {"ptrace", "process_vm_readv", "process_vm_writev"}));
  return attempts;
}

Attempts ReachAsset(Asked& asked, const Asset& asset) {
  Attempts attempts;
  for (const std::string& file : AssetPaths(asked.profile, asset)) {
    for (const Action action : {Action::kRead, Action::kList, Action::kWrite, Action::kTruncate,
                                Action::kRemove, Action::kExecute}) {
      if (action == Action::kTruncate && IsTripwireAt(asked.profile, file)) continue;
      Question question;
      question.action = action;
      question.path = file;
      Append(attempts, Ask(asked, question));
    }
  }
  asked.note = "reading, listing, writing, truncating, removing and executing its files";
  return attempts;
}

}  // namespace

std::vector<std::string> AssetPaths(const ProfileData& profile, const Asset& asset) {
  std::vector<std::string> paths = asset.files;
  for (const Secret& secret : profile.secrets) {
    const bool beneath = std::ranges::any_of(asset.files, [&](const std::string& file) {
      return secret.path != file && Covers(file, secret.path);
    });
    if (beneath) paths.push_back(secret.path);
  }
  for (const ViewEntry& entry : profile.view) {
    const bool kept = IsReadOnlyBind(entry.kind) || entry.kind == ViewKind::kWritable ||
                      entry.kind == ViewKind::kState;
    const bool beneath = std::ranges::any_of(asset.files, [&](const std::string& file) {
      return entry.path != file && Covers(file, entry.path);
    });
    if (kept && beneath) paths.push_back(entry.path);
  }
  return paths;
}

std::string WhyNoPeer(const BundleData& enclave, const ProfileData& profile,
                      const Question& question) {
  const bool reaches = question.action == Action::kReach;
  if (FindComponent(enclave, question.name) != nullptr) {
    const bool itself = reaches && question.name == profile.name;
    return itself ? fmt::format("`{}` is the component itself", question.name) : "";
  }
  if (reaches &&
      std::ranges::find(enclave.assets, question.name, &Asset::name) != enclave.assets.end()) {
    return {};
  }
  return fmt::format("the enclave has no component{} {}", reaches ? " and no asset" : "",
                     Quoted(question.name));
}

Asking AttemptPeer(Asked& asked) {
  const Question& question = asked.question;
  if (question.action == Action::kCapability) return CapabilityWays(asked);
  if (std::string error = WhyNoPeer(asked.enclave, asked.profile, question); !error.empty()) {
    return tl::make_unexpected(std::move(error));
  }
  const ProfileData* other = FindComponent(asked.enclave, question.name);
  if (other != nullptr) {
    switch (question.action) {
      case Action::kSignal:
        return SignalWays(asked, *other);
      case Action::kTrace:
        return ProcessWays(asked, *other, {"ptrace"});
      case Action::kMemory:
        return ProcessWays(asked, *other, {"process_vm_readv", "process_vm_writev"});
      default:
        return ReachComponent(asked, *other);
    }
  }
  return ReachAsset(asked, *std::ranges::find(asked.enclave.assets, question.name, &Asset::name));
}

}  // namespace bulkhead
