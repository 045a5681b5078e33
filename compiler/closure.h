// SPDX-License-Identifier: Apache-2.0
// The known ways round each kind of statement, in one table, and whether a compiled enclave closes
// them. A control that looks closed is passed by another system call, another mount, another
// protocol: what is compiled is judged here once more, from the bundle alone, by somebody who knows
// the way and not how the plan was made. Pure, thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "compiler/filter_reads.h"
#include "compiler/path_index.h"
#include "profiles/bundle.h"

namespace bulkhead {

enum class Intent : uint8_t {
  kFiles,
  kExecute,
  kMemory,
  kDevices,
  kTcp,
  kUdp,
  kUnix,
  kVsock,
  kProcesses,
  kSignals,
  kCalls,
};
std::string_view IntentName(Intent intent);

// What the components of an enclave have to do with each other.
struct Neighbours {
  explicit Neighbours(const BundleData& enclave);

  PathIndex written;  // what each can write of the enclave's, by its place in the list
  PathIndex edges;    // directories of edges
  PathIndex files;    // what each has of the enclave's files
  std::map<std::string_view, std::set<size_t>> peers;  // who shares an edge or a channel with whom
  // By place: equal where descriptors can be passed from one to the other, also through others.
  std::vector<size_t> group;
};

// What somebody may hand to others.
enum class PeerAbility : uint8_t { kMemoryFiles, kInternetSockets };
inline constexpr size_t kPeerAbilities = 2;

// What is judged: one component of an enclave.
struct Inside {
  const BundleData& enclave;
  const Neighbours& neighbours;
  const ProfileData& profile;
  const AllowedSets& allowed;  // by the filter, read back from it
  CallSets& sets;
  // Another component that can pass it descriptors, also through others, and has the ability;
  // empty: none does.
  std::function<std::string_view(PeerAbility)> peer_with;

  // Whether some call of this form passes; an example of one that does.
  bool Passes(const CallForm& form, SeccompData* example = nullptr) const;
};

// One way to close a way round: no call of these forms passes, the condition holds, and no peer has
// the ability.
struct Closer {
  Layer layer = Layer::kSeccomp;
  std::string_view text;
  std::vector<CallForm> refused;
  std::function<bool(const Inside&)> holds;  // empty: nothing else is asked
  std::optional<PeerAbility> no_peer = {};
};

struct WayRound {
  std::string_view id;  // "tcp-fastopen"; stable
  Intent intent = Intent::kFiles;
  std::string_view looks_closed;  // the rule that seems to be enough
  std::string_view way;           // what passes it
  std::string_view since;         // the release of Linux that brought the way
  // Whether the component's policy says something that could be got round; empty: always.
  std::function<bool(const Inside&)> stated;
  std::vector<Closer> closers;  // any of them closes it
  // The statement whose waiver accepts it open, and what else to do; empty: it is never accepted.
  std::string_view statement;
  std::string_view choices;
};

// Sorted by intent, ids unique.
std::span<const WayRound> WaysRound();

// What no statement of the language can close, and why: for the documentation and for reports.
struct LeftOpen {
  std::string_view id;
  Intent intent = Intent::kFiles;
  std::string_view what;
  std::string_view why;
};
std::span<const LeftOpen> WaysLeftOpen();

enum class Closure : uint8_t { kNotStated, kClosed, kOpen };

struct WayVerdict {
  const WayRound* way = nullptr;
  Closure closure = Closure::kOpen;
  const Closer* closer = nullptr;  // of kClosed
  std::string witness;             // of kOpen: a call that passes, for people; can be empty
  std::string peer;                // of kOpen: the component alone by whose ability it is open
};

// Judges components one after the other; what their filters have in common is read once. Not
// thread-safe.
class ClosureCheck {
 public:
  explicit ClosureCheck(const BundleData& enclave);

  // One verdict a way, in their order. `profile` is one of the enclave's. Errors: its filter can't
  // be read back (compiler/allowed_calls.h).
  tl::expected<std::vector<WayVerdict>, std::string> Judge(const ProfileData& profile);

 private:
  using Abilities = std::array<bool, kPeerAbilities>;
  Abilities AbilitiesOf(const ProfileData& profile);
  std::string_view SharesMemory(const ProfileData& profile) const;
  void ListAbilities();

  const BundleData& enclave_;
  Neighbours neighbours_;
  FilterReads reads_;
  // Once they are asked for: by group, the first two components that have each.
  std::vector<std::array<std::vector<size_t>, kPeerAbilities>> able_;
};

// docs/CLOSURE.md.
std::string ClosureDocs();

}  // namespace bulkhead
