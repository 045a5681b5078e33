// SPDX-License-Identifier: Apache-2.0
#include "compiler/diff_scope.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "compiler/planner.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

// What the runtime puts into every view.
constexpr std::array<std::string_view, 3> kRuntimeDirectories = {"/", "/dev/shm", "/run/notify"};
constexpr std::array<std::string_view, 4> kRuntimeFiles = {"/dev/null", "/etc/passwd", "/etc/group",
                                                           "/proc/self/status"};

void AddPath(std::set<std::string>& paths, std::string_view path) {
  paths.emplace(path);
  paths.insert(path == "/" ? std::string(kElsewhere) : fmt::format("{}{}", path, kElsewhere));
}

void AddUnix(DiffScope& scope, std::string_view path) {
  scope.ends.insert(fmt::format("unix:{}", path));
}

void AddPort(DiffScope& scope, uint32_t port) { scope.ends.insert(fmt::format("tcp:{}", port)); }

void AddDestination(DiffScope& scope, const BrokerRule& rule, std::set<uint32_t>& ports) {
  const uint32_t a = rule.address;
  const std::string address =
      fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 0xff, a >> 8 & 0xff, a & 0xff);
  if (rule.kind == BrokerKind::kVsockConnect) {
    scope.ends.insert(fmt::format("vsock:{}:{}", a, rule.port));
    return;
  }
  const char* kind = rule.kind == BrokerKind::kTcpConnect ? "tcp" : "udp";
  scope.ends.insert(fmt::format("{}:192.0.2.1:{}", kind, rule.port));  // of nobody (RFC 5737)
  if (!rule.any) scope.ends.insert(fmt::format("{}:{}:{}", kind, address, rule.port));
  if (rule.kind == BrokerKind::kTcpConnect) ports.insert(rule.port);
  if (rule.kind != BrokerKind::kTcpConnect) scope.ends.insert(fmt::format("udp:{}", rule.port));
}

// What no answer hangs on: it is compared by itself.
ProfileData Answering(ProfileData profile) {
  profile.environment.clear();
  profile.limits = {};
  const Readiness ready = profile.lifecycle.ready;
  profile.lifecycle = {};
  profile.instances = {};
  profile.lifecycle.ready.kind = ready.kind;
  return profile;
}

bool Meets(const ProfileData& profile, std::string_view path) {
  const auto meets = [&](std::string_view entry) {
    return Covers(entry, path) || Covers(path, entry);
  };
  return std::ranges::any_of(profile.view, meets, &ViewEntry::path) ||
         std::ranges::any_of(kRuntimeDirectories,
                             [&](auto own) { return own != "/" && meets(own); }) ||
         std::ranges::any_of(kRuntimeFiles, meets);
}

bool Connects(const ProfileData& profile) {
  const LandlockPlan& plan = profile.landlock;
  if (profile.network != Network::kShared) return false;
  return (plan.handled_net & landlock::kConnectTcp) == 0 || !profile.broker.rules.empty() ||
         std::ranges::any_of(plan.ports, [](const LandlockPort& port) {
           return (port.access & landlock::kConnectTcp) != 0;
         });
}

// By whatever an answer about a connection could hang on.
bool MayListen(const ProfileData& profile) {
  return profile.network == Network::kShared ||  // also by UDP
         std::ranges::any_of(profile.listeners, [](const Listener& listener) {
           return listener.kind == ListenerKind::kTcp;
         });
}

bool MayConnect(const ProfileData& one, const ProfileData& other) {
  if (Connects(one) && MayListen(other)) return true;
  const auto meets = [&](std::string_view path) { return Meets(one, path); };
  return std::ranges::any_of(other.listeners, meets, &Listener::path) ||
         std::ranges::any_of(other.edges, meets, &EdgeDirectory::path);
}

// Of another component, as far as this one could come there.
void AddSockets(const DiffScopes::Pair& other, const DiffScopes::Pair& own, DiffScope& scope) {
  const auto add = [&](const std::string& path) {
    if (Meets(*own.before, path) || Meets(*own.after, path)) AddUnix(scope, path);
  };
  for (const ProfileData* profile : {other.before, other.after}) {
    if (profile == nullptr) continue;
    for (const Listener& listener : profile->listeners) {
      if (listener.kind == ListenerKind::kUnixStream) add(listener.path);
    }
    for (const EdgeDirectory& edge : profile->edges) add(edge.path + std::string(kElsewhere));
  }
}

template <typename List>
std::map<std::string_view, const typename List::value_type*> ByName(const List& list) {
  std::map<std::string_view, const typename List::value_type*> map;
  for (const auto& item : list) map[item.name] = &item;
  return map;
}

// Two lists, as far as they are about something, the same.
template <typename Item, typename About, typename Same>
bool SamePart(const std::vector<Item>& one, const std::vector<Item>& other, About about,
              Same same) {
  auto a = std::ranges::find_if(one, about);
  auto b = std::ranges::find_if(other, about);
  while (a != one.end() && b != other.end()) {
    if (!same(*a, *b)) return false;
    a = std::find_if(std::next(a), one.end(), about);
    b = std::find_if(std::next(b), other.end(), about);
  }
  return a == one.end() && b == other.end();
}

bool SameRule(const LandlockRule& a, const LandlockRule& b) {
  return a.path == b.path && a.access == b.access;
}

}  // namespace

bool SameAt(const ProfileData& one, const ProfileData& other, std::string_view path) {
  return SamePart(
             one.view, other.view,
             [&](const ViewEntry& e) { return Covers(e.path, path) || Covers(path, e.path); },
             [](const ViewEntry& a, const ViewEntry& b) {
               return a.path == b.path && a.kind == b.kind && a.directory == b.directory;
             }) &&
         SamePart(
             one.landlock.rules, other.landlock.rules,
             [&](const LandlockRule& rule) { return Covers(rule.path, path); }, SameRule) &&
         SamePart(
             one.secrets, other.secrets, [&](const Secret& s) { return s.path == path; },
             [](const Secret&, const Secret&) { return true; });
}

bool SameForFiles(const ProfileData& one, const ProfileData& other) {
  return one.uid == other.uid && one.gid == other.gid && one.groups == other.groups &&
         one.edges == other.edges && one.landlock.handled_files == other.landlock.handled_files &&
         one.lifecycle.ready.kind == other.lifecycle.ready.kind && one.argv[0] == other.argv[0];
}

bool LoadsTheSame(const ProfileData& one, const ProfileData& other) {
  return SamePart(
      one.landlock.rules, other.landlock.rules,
      [](const LandlockRule& rule) { return (rule.access & landlock::kExecute) != 0; }, SameRule);
}

DiffScopes::DiffScopes(const BundleData& before, const BundleData& after)
    : same_target_(before.target == after.target) {
  for (const ProfileData& profile : before.components) components_[profile.name].before = &profile;
  for (const ProfileData& profile : after.components) components_[profile.name].after = &profile;
  for (const BundleData* bundle : {&before, &after}) {
    for (const Asset& asset : bundle->assets) {
      files_[asset.name].insert(asset.files.begin(), asset.files.end());
    }
    for (const Channel& channel : bundle->channels) {
      channels_[channel.from].insert(channel.to);
      channels_[channel.to].insert(channel.from);
    }
  }
  FindChanged(before, after);
}

void DiffScopes::FindChanged(const BundleData& before, const BundleData& after) {
  for (const auto& [name, pair] : components_) {
    if (pair.before == nullptr || pair.after == nullptr || !(*pair.before == *pair.after)) {
      changed_.insert(name);
    }
  }
  const auto old_assets = ByName(before.assets);
  const auto new_assets = ByName(after.assets);
  for (const auto& [name, files] : files_) {
    const auto one = old_assets.find(name);
    const auto other = new_assets.find(name);
    const bool both = one != old_assets.end() && other != new_assets.end();
    if (!both || one->second->files != other->second->files) changed_assets_.insert(name);
  }
  const auto old_channels = ByName(before.channels);
  const auto new_channels = ByName(after.channels);
  for (const auto& [channels, others] :
       {std::pair(&old_channels, &new_channels), std::pair(&new_channels, &old_channels)}) {
    for (const auto& [name, channel] : *channels) {
      const auto other = others->find(name);
      if (other != others->end() && *other->second == *channel) continue;
      changed_.insert(channel->from);
      changed_.insert(channel->to);
    }
  }
}

DiffScope DiffScopes::Of(const Pair& pair) const {
  DiffScope scope;
  scope.all = !same_target_ || !(Answering(*pair.before) == Answering(*pair.after));
  if (scope.all) {
    AddOwn(pair, scope);
    for (const auto& [name, files] : files_) {
      const bool near = std::ranges::any_of(files, [&](std::string_view file) {
        return Meets(*pair.before, file) || Meets(*pair.after, file);
      });
      if (!near) continue;
      scope.assets.emplace(name);
      for (const std::string_view file : files) AddPath(scope.paths, file);
    }
  } else {
    scope.assets.insert(changed_assets_.begin(), changed_assets_.end());
  }
  AddPeers(pair, scope);
  return scope;
}

void DiffScopes::AddOwn(const Pair& pair, DiffScope& scope) {
  AddPath(scope.paths, kElsewhere);
  for (const std::string_view path : kRuntimeDirectories) AddPath(scope.paths, path);
  scope.paths.insert(kRuntimeFiles.begin(), kRuntimeFiles.end());
  std::set<uint32_t> ports;
  for (const ProfileData* profile : {pair.before, pair.after}) {
    for (const ViewEntry& entry : profile->view) {
      AddPath(scope.paths, entry.path);
      AddUnix(scope, entry.path);
      AddUnix(scope, entry.path + std::string(kElsewhere));
    }
    for (const Listener& listener : profile->listeners) {
      if (listener.kind == ListenerKind::kTcp) ports.insert(listener.port);
      if (listener.kind == ListenerKind::kUnixStream) AddUnix(scope, listener.path);
      if (listener.kind == ListenerKind::kVsock) {
        scope.ends.insert("vsock:3:" + std::to_string(listener.port));
      }
    }
    for (const LandlockPort& port : profile->landlock.ports) ports.insert(port.port);
    for (const BrokerRule& rule : profile->broker.rules) AddDestination(scope, rule, ports);
    for (const Secret& secret : profile->secrets) scope.paths.insert(secret.path);
  }
  uint32_t other = 1024;  // a port that none of them names
  while (ports.contains(other)) ++other;
  ports.insert(other);
  for (const uint32_t port : ports) AddPort(scope, port);
  for (const char* end : {"unix:@elsewhere", "unix:/elsewhere", "unix:/run/notify/socket",
                          "unix:/dev/shm/elsewhere", "vsock:3:1", "udp:1024"}) {
    scope.ends.insert(end);
  }
}

// What is not near is reached in neither.
bool DiffScopes::IsNear(const Pair& pair, std::string_view name, const Pair& other) const {
  const auto channels = channels_.find(pair.after->name);
  if (channels != channels_.end() && channels->second.contains(name)) return true;
  return std::ranges::any_of(std::array{other.before, other.after}, [&](const ProfileData* peer) {
    return peer != nullptr && (MayConnect(*pair.before, *peer) || MayConnect(*pair.after, *peer));
  });
}

void DiffScopes::AddPeers(const Pair& pair, DiffScope& scope) const {
  const auto add = [&](std::string_view name, const Pair& other) {
    if (name == pair.after->name || !IsNear(pair, name, other)) return;
    scope.peers.emplace(name);
    AddSockets(other, pair, scope);
  };
  if (scope.all) {
    for (const auto& [name, other] : components_) add(name, other);
  } else {
    for (const std::string_view name : changed_) add(name, components_.at(name));
  }
}

}  // namespace bulkhead
