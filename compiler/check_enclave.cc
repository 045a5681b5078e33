// SPDX-License-Identifier: Apache-2.0
// What no component's plan can see by itself: shared identities, one component's writable files in
// another's code.
#include <fmt/format.h>

#include <map>
#include <set>

#include "compiler/planner.h"

namespace bulkhead {
namespace {

// Once for each component that it meets, where they meet first.
void CheckSharing(EnclavePlan& enclave, const std::vector<ComponentPlan>& components,
                  const PathIndex& index, size_t writer, const FileRule& rule,
                  const std::string& path) {
  size_t last = writer;
  for (const OwnedPath& met : index.Meeting(path)) {
    if (met.owner == writer || met.owner == last) continue;
    last = met.owner;
    enclave.diagnostics.Error(
        rule.at.place, "E0552",
        fmt::format("`{}`, writable by `{}`, is in the reach of `{}` (`{}`)", path,
                    components[writer].policy.name, components[met.owner].policy.name, met.path),
        "what one component can write must be no library, program or configuration of another: "
        "give each its own directory, or use an edge or a channel");
  }
}

void CheckAllSharing(EnclavePlan& enclave, const std::vector<ComponentPlan>& components) {
  const PathIndex index = PersistentPaths(components);
  for (size_t i = 0; i < components.size(); ++i) {
    for (const auto& [path, rule] : components[i].files) {
      if (WritesFiles(rule.verb)) CheckSharing(enclave, components, index, i, rule, path);
    }
  }
}

// The path by which the component could write `path`; empty: by none.
std::string WrittenBy(const ComponentPlan& component, const std::string& path) {
  for (const auto& [own, rule] : component.files) {
    if (WritesFiles(rule.verb) && (Covers(own, path) || Covers(path, own))) return own;
  }
  for (const EdgeDirectory& edge : component.profile.edges) {
    if (edge.server && Covers(edge.path, path)) return edge.path;
  }
  return {};
}

// Who writes a secret's file decides what the other is given.
void CheckSecrets(const std::vector<ComponentPlan>& components) {
  for (const ComponentPlan& component : components) {
    for (const SecretPolicy& secret : component.policy.secrets) {
      for (const ComponentPlan& other : components) {
        const std::string own = WrittenBy(other, secret.path);
        if (own.empty()) continue;
        component.Error(
            secret.at.place, "E0562",
            fmt::format("`{}` may write the file of the secret, by `{}`", other.policy.name, own),
            "keep it where no component writes: it is read before any of them runs");
      }
    }
  }
}

void CheckIdentities(EnclavePlan& enclave, const std::vector<ComponentPlan>& components) {
  std::map<uint32_t, const ComponentPlan*> by_uid;
  std::map<uint32_t, std::string> by_group;
  std::set<uint32_t> edge_groups;
  for (const ComponentPlan& component : components) {
    const auto [it, fresh] = by_uid.try_emplace(component.profile.uid, &component);
    if (!fresh) {
      enclave.diagnostics.Error(
          component.policy.at.place, "E0553",
          fmt::format("`{}` and `{}` would have the same uid {}", component.policy.name,
                      it->second->policy.name, component.profile.uid),
          "rename one of them, or give one a `user` of its own");
    }
    for (const EdgeDirectory& edge : component.profile.edges) {
      // A component's group has the number of its uid.
      edge_groups.insert(edge.group);
      const auto [known, first] = by_group.try_emplace(edge.group, edge.path);
      if (first || known->second == edge.path) continue;
      enclave.diagnostics.Error(component.policy.at.place, "E0554",
                                fmt::format("the edges `{}` and `{}` would have the same group",
                                            edge.path, known->second),
                                "rename one of the directories");
    }
  }
  for (const ComponentPlan& component : components) {
    if (!edge_groups.contains(component.profile.gid)) continue;
    enclave.diagnostics.Error(
        component.policy.user ? component.policy.user_at.place : component.policy.at.place, "E0554",
        fmt::format("the group {} of `{}` is that of an edge", component.profile.gid,
                    component.policy.name),
        "a component's group has the number of its user: take another");
  }
}

}  // namespace

PathIndex PersistentPaths(const std::vector<ComponentPlan>& components) {
  PathIndex index;
  for (size_t i = 0; i < components.size(); ++i) {
    for (const auto& [path, rule] : components[i].files) {
      if (IsPersistent(rule.verb)) index.Add(path, i);
    }
  }
  index.Sort();
  return index;
}

void CheckEnclave(EnclavePlan& enclave, const std::vector<ComponentPlan>& components) {
  CheckIdentities(enclave, components);
  CheckEdges(enclave, components);
  CheckAllSharing(enclave, components);
  CheckSecrets(components);
  for (const ChannelPolicy& channel : enclave.policy.channels) {
    std::vector<Control> controls{{Layer::kDescriptor, "made by the supervisor, one end each"}};
    if (channel.kind == ChannelKind::kConnected) {
      controls = {{Layer::kDescriptor, "connected by the supervisor for each run of `from`"},
                  {Layer::kOwnership,
                   channel.as_server ? "under the uid of `to`, who must be the one that listens"
                                     : "under the uid of `from`; `to` must be who listens"}};
    }
    enclave.ledger.push_back({"", channel.at.id, std::move(controls), Status::kEnforced,
                              Recorder::kNone,
                              "a descriptor can't be refused once it is handed over"});
  }
}

}  // namespace bulkhead
