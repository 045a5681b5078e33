// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>

#include "compiler/planner.h"
#include "compiler/ways_round.h"
#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead {

Condition Not(Condition condition) {
  condition.negated = !condition.negated;
  return condition;
}

// `arg` has all bits of `mask`, whatever stands in the half of the register that is not read.
Condition Bits(unsigned arg, uint64_t mask) { return MaskedEqual(arg, 32, mask, mask); }

std::vector<CallForm> Calls(std::initializer_list<std::string_view> names) {
  std::vector<CallForm> forms;
  for (const std::string_view name : names) forms.push_back({name, {}});
  return forms;
}

// Internet sockets for which all of `when` holds.
std::vector<CallForm> Internet(const Conjunction& when) {
  std::vector<CallForm> forms;
  for (const uint64_t family : {kAfInet, kAfInet6}) {
    CallForm form{"socket", when};
    form.when.push_back(Equal(0, 32, family));
    forms.push_back(std::move(form));
  }
  return forms;
}

std::vector<CallForm> Joined(std::vector<CallForm> a, const std::vector<CallForm>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<CallForm> Ioctls(std::initializer_list<uint64_t> requests) {
  std::vector<CallForm> forms;
  for (const uint64_t request : requests) forms.push_back({"ioctl", {Equal(1, 32, request)}});
  return forms;
}

namespace {

bool Meet(const std::string& a, const std::string& b) { return Covers(a, b) || Covers(b, a); }

bool HasView(const Inside& inside, bool (*kind)(ViewKind)) {
  return std::ranges::any_of(inside.profile.view,
                             [&](const ViewEntry& entry) { return kind(entry.kind); });
}

}  // namespace

bool WritesFiles(const Inside& inside) {
  // A server owns the directory of its edge.
  return std::ranges::any_of(inside.profile.edges, &EdgeDirectory::server) ||
         HasView(inside, [](ViewKind kind) {
           return kind == ViewKind::kWritable || kind == ViewKind::kState;
         });
}

bool HandlesAll(const Inside& inside, uint64_t rights) {
  return (inside.profile.landlock.handled_files & rights) == rights;
}

// Landlock handles the rights and no rule beneath what keeps its content grants one.
bool NoRuleGrants(const Inside& inside, uint64_t rights) {
  if (!HandlesAll(inside, rights)) return false;
  return std::ranges::none_of(inside.profile.landlock.rules, [&](const LandlockRule& rule) {
    const bool persistent = std::ranges::any_of(inside.profile.view, [&](const ViewEntry& entry) {
      return (entry.kind == ViewKind::kWritable || entry.kind == ViewKind::kState ||
              entry.kind == ViewKind::kEdge) &&
             Meet(entry.path, rule.path);
    });
    return persistent && (rule.access & rights) != 0;
  });
}

// What is mapped as code is on read-only mounts, and nobody of the enclave writes beneath them.
bool CodeIsNobodys(const Inside& inside) {
  for (const ViewEntry& code : inside.profile.view) {
    if (code.kind != ViewKind::kReadOnly) continue;
    for (const OwnedPath& written : inside.neighbours.written.Meeting(code.path)) {
      // In the own view what is written beneath code is a mount of its own, without execution.
      const bool own = inside.enclave.components[written.owner].name == inside.profile.name;
      if (!own || Covers(written.path, code.path)) return false;
    }
  }
  return true;
}

bool IsWriteXorExecute(const Inside& inside) {
  return !inside.Passes({"mmap", {Bits(2, kProtWrite | kProtExec)}});
}

bool HasTcpListener(const Inside& inside) {
  return std::ranges::any_of(inside.profile.listeners,
                             [](const Listener& l) { return l.kind == ListenerKind::kTcp; });
}

bool HasInternet(const Inside& inside) {
  return HasTcpListener(inside) || inside.Passes({"socket", {Equal(0, 32, kAfInet)}}) ||
         inside.Passes({"socket", {Equal(0, 32, kAfInet6)}});
}

bool PeersHaveInternet(const Inside& inside) {
  return !inside.peer_with(PeerAbility::kInternetSockets).empty();
}

bool IsUnlinked(const Inside& inside) {
  return inside.profile.edges.empty() && !inside.neighbours.peers.contains(inside.profile.name);
}

bool AllListenersGuarded(const Inside& inside) {
  return std::ranges::all_of(inside.profile.listeners, [](const Listener& listener) {
    return listener.kind != ListenerKind::kTcp || listener.guarded;
  });
}

namespace {

// Nothing of the enclave's is there.
bool IsOwn(ViewKind kind) {
  return kind == ViewKind::kPrivate || kind == ViewKind::kRuntime || kind == ViewKind::kTripwire;
}

bool ViewHolds(const Inside& inside, std::string_view path) {
  return std::ranges::any_of(inside.profile.view, [&](const ViewEntry& entry) {
    return !IsOwn(entry.kind) && (Covers(entry.path, path) || Covers(path, entry.path));
  });
}

}  // namespace

// No socket of another edge is in the view.
bool OwnEdgesAlone(const Inside& inside) {
  return std::ranges::all_of(inside.profile.view, [&](const ViewEntry& entry) {
    return IsOwn(entry.kind) ||
           std::ranges::all_of(
               inside.neighbours.edges.Meeting(entry.path), [&](const OwnedPath& edge) {
                 return std::ranges::any_of(inside.profile.edges, [&](const EdgeDirectory& own) {
                   return own.path == edge.path;
                 });
               });
  });
}

// Where daemons of the image keep their sockets.
bool ReadsNoSocketPlaces(const Inside& inside) {
  for (const ViewEntry& entry : inside.profile.view) {
    if (entry.kind != ViewKind::kReadOnly && entry.kind != ViewKind::kWritable) continue;
    for (const char* place : {"/run", "/var/run"}) {
      if (Meet(entry.path, place)) return false;
    }
  }
  return true;
}

bool ReadsLibrariesAlone(const Inside& inside) {
  return std::ranges::none_of(inside.profile.view, [](const ViewEntry& entry) {
    return entry.rule.find(".files.read:/") != std::string::npos;
  });
}

bool SharesNoFiles(const Inside& inside) {
  for (const ViewEntry& entry : inside.profile.view) {
    if (IsOwn(entry.kind) || entry.kind == ViewKind::kDevice) continue;
    for (const OwnedPath& met : inside.neighbours.files.Meeting(entry.path)) {
      if (inside.enclave.components[met.owner].name != inside.profile.name) return false;
    }
  }
  return true;
}

bool HidesSupervisor(const Inside& inside) {
  for (const std::string_view own : {"/run/bulkhead", "/run/notify", "/var/log/bulkhead"}) {
    if (ViewHolds(inside, own)) return false;
  }
  return std::ranges::none_of(SinkPaths(inside.enclave.sinks, inside.enclave.output),
                              [&](const std::string& path) { return ViewHolds(inside, path); });
}

bool HasNoDevice(const Inside& inside, std::initializer_list<std::string_view> starts) {
  return std::ranges::none_of(inside.profile.view, [&](const ViewEntry& entry) {
    return std::ranges::any_of(
        starts, [&](std::string_view start) { return entry.path.starts_with(start); });
  });
}

bool ProcIsNotWritten(const Inside& inside) {
  return HandlesAll(inside, landlock::kWriteFile) &&
         std::ranges::none_of(inside.profile.landlock.rules, [](const LandlockRule& rule) {
           return Meet(rule.path, "/proc") && (rule.access & landlock::kWriteFile) != 0;
         });
}

bool EveryCallHasAName(const Inside& inside) {
  return std::ranges::all_of(inside.allowed, [&](const auto& item) {
    return !SyscallName(inside.profile.arch, item.first).empty();
  });
}

Closer Kept(Layer layer, std::string_view text) { return {layer, text, {}, {}}; }
Closer Refused(std::string_view text, std::vector<CallForm> forms) {
  return {Layer::kSeccomp, text, std::move(forms), {}};
}
Closer Checked(Layer layer, std::string_view text, std::function<bool(const Inside&)> holds) {
  return {layer, text, {}, std::move(holds)};
}

}  // namespace bulkhead
