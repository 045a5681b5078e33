// SPDX-License-Identifier: Apache-2.0
#include "compiler/closure.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "compiler/calls_text.h"
#include "compiler/ways_round.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

bool IsWritableBind(ViewKind kind) {
  return kind == ViewKind::kWritable || kind == ViewKind::kState || kind == ViewKind::kEdge;
}

// The first form that passes, as a call; nothing when none does.
std::string Passing(const Closer& closer, const Inside& inside) {
  SeccompData example;
  for (const CallForm& form : closer.refused) {
    if (inside.Passes(form, &example)) return CallText(inside.profile.arch, example);
  }
  return {};
}

WayVerdict JudgeWay(const WayRound& way, const Inside& inside) {
  if (way.stated && !way.stated(inside)) return {&way, Closure::kNotStated, nullptr, {}, {}};
  std::string witness;
  std::optional<WayVerdict> by_peer;
  for (const Closer& closer : way.closers) {
    std::string passing = Passing(closer, inside);
    if (!passing.empty()) {
      witness = std::move(passing);
      continue;
    }
    if (closer.holds && !closer.holds(inside)) continue;
    const std::string_view peer = closer.no_peer ? inside.peer_with(*closer.no_peer) : "";
    if (peer.empty()) return {&way, Closure::kClosed, &closer, {}, {}};
    by_peer = {&way, Closure::kOpen, nullptr, {}, std::string(peer)};
  }
  // Its own calls are closed then, and what passes of them stands in no way of that.
  if (by_peer) return *by_peer;
  return {&way, Closure::kOpen, nullptr, witness, {}};
}

}  // namespace

std::string_view IntentName(Intent intent) {
  constexpr std::string_view kNames[] = {"files", "execute", "memory",    "devices", "tcp",  "udp",
                                         "unix",  "vsock",   "processes", "signals", "calls"};
  return kNames[static_cast<size_t>(intent)];
}

bool Inside::Passes(const CallForm& form, SeccompData* example) const {
  return bulkhead::Passes(allowed, profile.arch, form, sets, example);
}

Neighbours::Neighbours(const BundleData& enclave) {
  std::map<std::string_view, std::set<size_t>> sharing;  // by the directory of an edge
  std::map<std::string_view, size_t> places;
  for (size_t i = 0; i < enclave.components.size(); ++i) {
    const ProfileData& profile = enclave.components[i];
    places[profile.name] = i;
    for (const ViewEntry& entry : profile.view) {
      if (IsWritableBind(entry.kind)) written.Add(entry.path, i);
      if (IsWritableBind(entry.kind) || IsReadOnlyBind(entry.kind)) files.Add(entry.path, i);
    }
    for (const EdgeDirectory& edge : profile.edges) {
      edges.Add(edge.path, i);
      sharing[edge.path].insert(i);
    }
  }
  written.Sort();
  edges.Sort();
  files.Sort();
  const auto join = [&](size_t a, size_t b) {
    if (a != b) peers[enclave.components[a].name].insert(b);
  };
  for (const auto& [path, owners] : sharing) {
    for (const size_t a : owners) {
      for (const size_t b : owners) join(a, b);
    }
  }
  std::vector<size_t> parent(enclave.components.size());
  std::iota(parent.begin(), parent.end(), size_t{0});
  const auto root = [&](size_t place) {
    while (parent[place] != place) place = parent[place] = parent[parent[place]];
    return place;
  };
  for (const auto& [path, owners] : sharing) {
    for (const size_t owner : owners) parent[root(owner)] = root(*owners.begin());
  }
  for (const Channel& channel : enclave.channels) {
    const auto from = places.find(channel.from);
    const auto to = places.find(channel.to);
    if (from == places.end() || to == places.end()) continue;
    join(from->second, to->second);
    join(to->second, from->second);
    // Nothing but bytes comes through a pipe or memory.
    if (!IsOneWay(channel.kind)) parent[root(from->second)] = root(to->second);
  }
  group.reserve(parent.size());
  for (size_t i = 0; i < parent.size(); ++i) group.push_back(root(i));
}

ClosureCheck::ClosureCheck(const BundleData& enclave) : enclave_(enclave), neighbours_(enclave) {}

// The other end of a channel of memory: both hold a file in memory. Empty: there is none.
std::string_view ClosureCheck::SharesMemory(const ProfileData& profile) const {
  for (const Channel& channel : enclave_.channels) {
    if (channel.kind != ChannelKind::kMemory) continue;
    if (channel.from == profile.name) return channel.to;
    if (channel.to == profile.name) return channel.from;
  }
  return {};
}

// What can't be read back has all of them.
ClosureCheck::Abilities ClosureCheck::AbilitiesOf(const ProfileData& profile) {
  const auto allowed = reads_.Read(profile.arch, WidestFilter(profile));
  const auto passes = [&](const CallForm& form) {
    return !allowed || Passes(**allowed, profile.arch, form, reads_.sets());
  };
  const bool listens = std::ranges::any_of(
      profile.listeners, [](const Listener& l) { return l.kind == ListenerKind::kTcp; });
  Abilities abilities{};
  abilities[static_cast<size_t>(PeerAbility::kMemoryFiles)] =
      !SharesMemory(profile).empty() || passes({"memfd_create", {}});
  // Of a component with the broker nothing is passed on but by these.
  const bool sends =
      profile.broker.calls.empty() || passes({"sendmsg", {}}) || passes({"sendmmsg", {}});
  abilities[static_cast<size_t>(PeerAbility::kInternetSockets)] =
      sends && (listens || std::ranges::any_of(Internet({}), passes));
  return abilities;
}

void ClosureCheck::ListAbilities() {
  able_.resize(enclave_.components.size());
  for (size_t i = 0; i < enclave_.components.size(); ++i) {
    const Abilities abilities = AbilitiesOf(enclave_.components[i]);
    for (size_t which = 0; which < kPeerAbilities; ++which) {
      // One may be who asks: two are enough.
      auto& able = able_[neighbours_.group[i]].at(which);
      if (abilities.at(which) && able.size() < 2) able.push_back(i);
    }
  }
}

tl::expected<std::vector<WayVerdict>, std::string> ClosureCheck::Judge(const ProfileData& profile) {
  const auto allowed = reads_.Read(profile.arch, WidestFilter(profile));
  if (!allowed) return tl::make_unexpected(allowed.error());
  const auto place =
      static_cast<size_t>(std::ranges::find(enclave_.components, profile.name, &ProfileData::name) -
                          enclave_.components.begin());
  const auto peer_with = [&](PeerAbility ability) -> std::string_view {
    if (ability == PeerAbility::kMemoryFiles && !SharesMemory(profile).empty()) {
      return SharesMemory(profile);
    }
    if (able_.empty()) ListAbilities();
    for (const size_t able : able_[neighbours_.group[place]].at(static_cast<size_t>(ability))) {
      if (able != place) return enclave_.components[able].name;
    }
    return {};
  };
  const Inside inside{enclave_, neighbours_, profile, **allowed, reads_.sets(), peer_with};
  std::vector<WayVerdict> verdicts;
  for (const WayRound& way : WaysRound()) verdicts.push_back(JudgeWay(way, inside));
  if (reads_.sets().bdd().Exhausted()) {
    return tl::make_unexpected<std::string>("the filter is too intricate to be read back");
  }
  return verdicts;
}

namespace {

std::string Cell(std::string_view text) { return text.empty() ? "-" : std::string(text); }

std::string WayRow(const WayRound& way) {
  std::string closers;
  for (const Closer& closer : way.closers) {
    closers += fmt::format("{}{}: {}", closers.empty() ? "" : "; or ", LayerName(closer.layer),
                           closer.text);
  }
  return fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", way.id, way.looks_closed, way.way,
                     Cell(way.since), closers,
                     way.statement.empty() ? "-" : fmt::format("`{}`", way.statement));
}

}  // namespace

std::string ClosureDocs() {
  std::string out =
      "# Ways round\n\n"
      "<!-- Made from compiler/ways_round.cc by BULKHEAD_REGENERATE=1 test-compiler. -->\n\n"
      "A rule that looks closed is passed by another system call, another protocol, another mount. "
      "The compiler knows these ways from one table and judges by it what it has compiled: the "
      "filter as it is read back from the program, the Landlock rules, the view and the edges, not "
      "the policy. A way that is open for a statement of the policy is an error, unless that "
      "statement is waived where the table names one. `bulkhead inspect` prints for each component "
      "by which control each way is closed. Where several controls are named, any of them closes "
      "it.\n\nEach way is tried in tests/e2e/half_rules_test.py on the running kernel, where it "
      "can be: past the rule that looks closed, and from inside a component. Those of older "
      "kernels are in tests/e2e/old_kernel_test.py.\n";
  Intent intent{};
  bool first = true;
  for (const WayRound& way : WaysRound()) {
    if (first || way.intent != intent) {
      out += fmt::format(
          "\n## {}\n\n| way | looks closed | passes | since Linux | closed by | can be waived "
          "|\n| --- | --- | --- | --- | --- | --- |\n",
          IntentName(way.intent));
    }
    first = false;
    intent = way.intent;
    out += WayRow(way);
  }
  out +=
      "\n## What the language can't say\n\nNo statement closes these, and none pretends to.\n\n"
      "| class | about | what stays open | why |\n| --- | --- | --- | --- |\n";
  for (const LeftOpen& open : WaysLeftOpen()) {
    out += fmt::format("| `{}` | {} | {} | {} |\n", open.id, IntentName(open.intent), open.what,
                       open.why);
  }
  return out;
}

}  // namespace bulkhead
