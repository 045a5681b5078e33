// SPDX-License-Identifier: Apache-2.0
#include "policy/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/check_connected.h"
#include "policy/check_edges.h"
#include "policy/cycles.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

class Checker {
 public:
  Checker(const Policy& policy, Diagnostics& diagnostics)
      : policy_(policy), diagnostics_(diagnostics) {
    for (const ComponentPolicy& component : policy.components) names_.push_back(component.name);
  }

  void CheckReferences() {
    for (const ComponentPolicy& component : policy_.components) {
      for (const Text& after : component.after) RequireOther(after, component.name);
      for (const UnixListen& listen : component.network.unix_listen) {
        for (const Text& from : listen.from) RequireOther(from, component.name);
      }
    }
    for (const ChannelPolicy& channel : policy_.channels) {
      Require(channel.from.value, channel.from.at.place);
      Require(channel.to.value, channel.to.at.place);
      if (channel.from.value == channel.to.value && !channel.to.value.empty()) {
        diagnostics_.Error(channel.to.at.place, "E0410", "a channel from a component to itself");
      }
      const bool memory = channel.kind == ChannelKind::kMemory;
      if (memory == (channel.size != 0)) continue;
      diagnostics_.Error(channel.at.place, "E0412",
                         memory ? "shared memory needs a `size`" : "only shared memory has a size",
                         memory ? "it is fixed: write `size: 64K`" : "leave `size` out");
    }
    for (const WaiverPolicy& waiver : policy_.waivers) {
      if (!waiver.component.empty()) Require(waiver.component, waiver.component_place);
    }
  }

  void CheckOrder() {
    References references;
    for (const ComponentPolicy& component : policy_.components) {
      for (const Text& after : component.after) {
        if (after.value != component.name) references[component.name].push_back(after.value);
      }
    }
    for (const auto& cycle : FindCycles(references)) {
      const ComponentPolicy& first = *Find(cycle.front());
      const std::string& next = cycle.size() > 1 ? cycle[1] : cycle[0];
      const auto after = std::find_if(first.after.begin(), first.after.end(),
                                      [&](const Text& text) { return text.value == next; });
      diagnostics_.Error(after->at.place, "E0406", "`after` goes round in a circle",
                         fmt::format("{} -> {}", fmt::join(cycle, " -> "), cycle.front()));
    }
  }

  void CheckReady() {
    for (const ComponentPolicy& component : policy_.components) {
      if (component.lifecycle.ready.kind != ReadyKind::kListening) continue;
      const auto& listens = component.network.unix_listen;
      const bool own = !component.network.tcp_bind.empty() ||
                       std::any_of(listens.begin(), listens.end(),
                                   [](const UnixListen& l) { return l.by_component; });
      if (own) continue;
      diagnostics_.Error(component.ready_at.place, "E0418",
                         "`listening` waits for a socket that the component makes itself, and it "
                         "makes none",
                         "use `started` or `notify`: the supervisor's listeners are open before "
                         "the component starts");
    }
  }

  void CheckGroups() {
    std::vector<std::string_view> groups;
    References references;
    for (const SyscallGroup& group : policy_.groups) groups.push_back(group.name);
    for (const SyscallGroup& group : policy_.groups) {
      CheckRules(group.calls, groups);
      for (const SyscallRule& rule : group.calls) {
        if (rule.name.starts_with('@')) references[group.name].push_back(rule.name.substr(1));
      }
    }
    for (const ComponentPolicy& component : policy_.components) {
      CheckRules(component.allow, groups);
      CheckRules(component.startup, groups);
      CheckRules(component.deny, groups);
    }
    for (const auto& cycle : FindCycles(references)) {
      const auto group = std::find_if(policy_.groups.begin(), policy_.groups.end(),
                                      [&](const auto& g) { return g.name == cycle.front(); });
      diagnostics_.Error(group->at.place, "E0415", "the group contains itself",
                         fmt::format("{} -> {}", fmt::join(cycle, " -> "), cycle.front()));
    }
  }

 private:
  const ComponentPolicy* Find(const std::string& name) const {
    const auto found = std::find_if(policy_.components.begin(), policy_.components.end(),
                                    [&](const ComponentPolicy& c) { return c.name == name; });
    return found == policy_.components.end() ? nullptr : &*found;
  }

  bool Require(const std::string& name, const Place& place) {
    if (name.empty() || Find(name) != nullptr) return true;
    const auto meant = Nearest(name, names_);
    diagnostics_.Error(place, "E0401", Quoted(name) + " is not a component",
                       meant ? fmt::format("did you mean `{}`?", *meant)
                             : fmt::format("components are: {}", fmt::join(names_, ", ")));
    return false;
  }

  void RequireOther(const Text& text, const std::string& self) {
    if (!Require(text.value, text.at.place) || text.value != self) return;
    diagnostics_.Error(text.at.place, "E0411", Quoted(self) + " names itself",
                       "name another component");
  }

  void CheckRules(const std::vector<SyscallRule>& rules,
                  const std::vector<std::string_view>& groups) {
    for (const SyscallRule& rule : rules) {
      if (!rule.name.starts_with('@')) continue;
      const std::string_view name = std::string_view(rule.name).substr(1);
      if (std::find(groups.begin(), groups.end(), name) != groups.end()) continue;
      const auto meant = Nearest(name, groups);
      diagnostics_.Error(rule.at.place, "E0414", Quoted(rule.name) + " is not a group",
                         meant ? fmt::format("did you mean `@{}`?", *meant)
                               : "groups are shipped, in files of `use`, or in `groups`");
    }
  }

  const Policy& policy_;
  Diagnostics& diagnostics_;
  std::vector<std::string_view> names_;
};

}  // namespace

void CheckPolicy(const Policy& policy, bool complete, Diagnostics& diagnostics) {
  Checker checker(policy, diagnostics);
  checker.CheckReferences();
  checker.CheckOrder();
  checker.CheckReady();
  checker.CheckGroups();
  CheckListeners(policy, diagnostics);
  if (complete) {
    CheckEdges(policy, diagnostics);
    CheckConnected(policy, diagnostics);
  }
}

void CheckPathSets(const Policy& policy, const TargetSpec& target, Diagnostics& diagnostics) {
  std::vector<std::string_view> sets;
  for (const auto& [name, paths] : target.path_sets) sets.push_back(name);
  for (const ComponentPolicy& component : policy.components) {
    for (const FileRule& rule : component.files) {
      if (!rule.path.starts_with('@') || target.path_sets.contains(rule.path.substr(1))) continue;
      diagnostics.Error(rule.at.place, "E0413",
                        fmt::format("{} is not a path set of target {}", Quoted(rule.path),
                                    Quoted(target.target.name)),
                        fmt::format("its sets are: @{}", fmt::join(sets, ", @")));
    }
  }
}

}  // namespace bulkhead
