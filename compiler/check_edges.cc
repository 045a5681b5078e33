// SPDX-License-Identifier: Apache-2.0
// The directories of unix edges: who has an edge has its directory, so nothing else may be there.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/planner.h"

namespace bulkhead {
namespace {

Place PlaceOf(const ComponentPolicy& component, const std::string& id) {
  for (const UnixListen& listen : component.network.unix_listen) {
    if (listen.at.id == id) return listen.at.place;
  }
  for (const Text& connect : component.network.unix_connect) {
    if (connect.at.id == id) return connect.at.place;
  }
  return component.at.place;
}

bool Overlap(std::string_view a, std::string_view b) { return Covers(a, b) || Covers(b, a); }

// Where all components have files and edges.
struct Taken {
  PathIndex files;
  PathIndex edges;
};

Taken TakenPaths(const std::vector<ComponentPlan>& components) {
  Taken taken{PersistentPaths(components), {}};
  for (size_t i = 0; i < components.size(); ++i) {
    for (const EdgeDirectory& edge : components[i].profile.edges) taken.edges.Add(edge.path, i);
  }
  taken.edges.Sort();
  return taken;
}

// What stands in the way of a directory of its own; empty: nothing.
std::string InTheWay(const EnclavePlan& enclave, const std::vector<ComponentPlan>& components,
                     const Taken& taken, const std::string& directory) {
  if (directory.empty()) return "the root";
  for (const std::string_view own : {"/proc", "/sys", "/dev", "/etc/passwd", "/etc/group"}) {
    if (Overlap(own, directory)) return fmt::format("the runtime's `{}`", own);
  }
  const std::string reserved = ReservedPath(enclave, directory);
  if (!reserved.empty()) return fmt::format("the supervisor's `{}`", reserved);
  if (const auto files = taken.files.Meeting(directory); !files.empty()) {
    return fmt::format("`{}` of `{}`", files.front().path,
                       components[files.front().owner].policy.name);
  }
  for (const OwnedPath& edge : taken.edges.Meeting(directory)) {
    if (edge.path != directory) return fmt::format("the edge `{}`", edge.path);
  }
  for (const AssetPolicy& asset : enclave.policy.assets) {
    for (const Text& file : asset.files) {
      if (Overlap(file.value, directory)) return fmt::format("the asset `{}`", asset.name);
    }
  }
  return {};
}

}  // namespace

void CheckEdges(EnclavePlan& enclave, const std::vector<ComponentPlan>& components) {
  std::map<std::string, Place> places;  // of the first statement about each
  for (const ComponentPlan& component : components) {
    for (const EdgeDirectory& edge : component.profile.edges) {
      places.try_emplace(edge.path, PlaceOf(component.policy, edge.rule));
    }
  }
  const Taken taken = TakenPaths(components);
  for (const auto& [directory, place] : places) {
    const std::string other = InTheWay(enclave, components, taken, directory);
    if (other.empty()) continue;
    enclave.diagnostics.Error(
        place, "E0532", fmt::format("the edge's directory `{}/` meets {}", directory, other),
        "each end of an edge has the socket's whole directory: give it one that holds nothing "
        "else, such as /run/edges/NAME");
  }
}

}  // namespace bulkhead
