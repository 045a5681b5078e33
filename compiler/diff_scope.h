// SPDX-License-Identifier: Apache-2.0
// Which questions about a component may have other answers in one bundle than in another. An answer
// hangs on the component's own profile, on the target, and, for what is asked about another
// component, an asset or a socket, on that. So of two enclaves alike but for one component few
// questions are left, however many components there are. The bundles must outlive it; const after
// construction; internal to compiler/.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "profiles/bundle.h"

namespace bulkhead {

// What no statement speaks of: "/srv/elsewhere" stands for all that is beneath /srv and not named.
constexpr std::string_view kElsewhere = "/elsewhere";

// Between what is named here and beside it no answer changes.
struct DiffScope {
  std::set<std::string> paths;
  std::set<std::string> ends;   // as `why` is asked of them: "tcp:443", "unix:/run/a/socket"
  std::set<std::string> peers;  // other components, for whether they are reached
  std::set<std::string> assets;
  // Its own profile, or the target, is another: calls, processes and capabilities are asked about.
  bool all = false;
};

// Whether view, ownership and Landlock say the same about a path in both, whatever is asked about
// it; but for executing, where the loader counts, too: see LoadsTheSame.
bool SameAt(const ProfileData& one, const ProfileData& other, std::string_view path);
// What holds for every path: owner, edges, the rights that Landlock handles.
bool SameForFiles(const ProfileData& one, const ProfileData& other);
bool LoadsTheSame(const ProfileData& one, const ProfileData& other);

class DiffScopes {
 public:
  DiffScopes(const BundleData& before, const BundleData& after);

  // Of every component of either, sorted by name; nullptr where it is none.
  struct Pair {
    const ProfileData* before = nullptr;
    const ProfileData* after = nullptr;
  };
  const std::map<std::string_view, Pair>& components() const { return components_; }

  // `pair` has both.
  DiffScope Of(const Pair& pair) const;

 private:
  void FindChanged(const BundleData& before, const BundleData& after);
  static void AddOwn(const Pair& pair, DiffScope& scope);
  bool IsNear(const Pair& pair, std::string_view name, const Pair& other) const;
  void AddPeers(const Pair& pair, DiffScope& scope) const;

  std::map<std::string_view, Pair> components_;
  std::map<std::string_view, std::set<std::string_view>> files_;  // of each asset, in both
  std::set<std::string_view> changed_;                            // components
  std::set<std::string_view> changed_assets_;
  std::map<std::string_view, std::set<std::string_view>> channels_;  // who has one with whom
  bool same_target_ = false;
};

}  // namespace bulkhead
