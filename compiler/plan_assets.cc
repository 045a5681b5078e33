// SPDX-License-Identifier: Apache-2.0
// Assets: in the view of every component that may not reach one, something empty stands in its
// place, so that an attempt is refused by a layer that records it.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/planner.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

// The rule by which the component has this path, on the enclave or in a tmpfs of its own.
const FileRule* RuleOver(const ComponentPlan& plan, const std::string& path) {
  const FileRule* nearest = nullptr;
  for (const auto& [root, rule] : plan.files) {
    if (!Covers(root, path)) continue;
    if (nearest == nullptr || root.size() > nearest->path.size()) nearest = &rule;
  }
  return nearest;
}

void CheckPath(const ComponentPlan& plan, const AssetPolicy& asset, const Text& file) {
  std::string closed = ReservedPath(plan.enclave, file.value);
  for (const std::string_view own : {"/proc", "/sys", "/dev", "/etc/passwd", "/etc/group"}) {
    if (Covers(own, file.value) || file.value == "/") closed = own;
  }
  if (closed.empty()) return;
  plan.Error(file.at.place, "E0534",
             fmt::format("`{}` of the asset `{}` is the runtime's", file.value, asset.name),
             fmt::format("`{}` is in no component's reach by itself: take it out", closed));
}

void RefuseHidden(const ComponentPlan& plan, const Text& file, const FileRule& own) {
  plan.Error(
      own.at.place, "E0533",
      fmt::format("`{}` of `{}` hides the asset `{}`", own.path, plan.policy.name, file.value),
      "attempts on the asset would reach the component's own tmpfs there and leave no "
      "record: give it another directory");
}

// Where Landlock leaves no records it lets the opening of a tripwire through, so that it comes to
// the supervisor, which refuses and records it.
void LetThrough(ComponentPlan& plan, const AssetPolicy& asset) {
  for (const ViewEntry& entry : plan.profile.view) {
    if (entry.kind != ViewKind::kTripwire || entry.rule != "assets." + asset.name) continue;
    AddLandlockRule(plan, entry.path,
                    landlock::kReadFile | landlock::kReadDir | landlock::kWriteFile, false,
                    entry.rule);
  }
  plan.enclave.requirements.push_back(
      {Feature::kFanotifyPerm, 1, plan.policy.name, "assets." + asset.name});
}

void PlanAsset(ComponentPlan& plan, const AssetPolicy& asset) {
  std::vector<std::string> wired;
  bool reaches = false;
  for (const Text& file : asset.files) {
    CheckPath(plan, asset, file);
    const FileRule* rule = RuleOver(plan, file.value);
    if (rule != nullptr && IsPersistent(rule->verb)) {
      reaches = true;
      continue;
    }
    if (rule != nullptr) RefuseHidden(plan, file, *rule);
    const bool directory = plan.enclave.asset_directories.contains(&file);
    plan.profile.view.push_back({.path = file.value,
                                 .kind = ViewKind::kTripwire,
                                 .directory = directory,
                                 .rule = "assets." + asset.name});
    wired.push_back(
        fmt::format("an empty {} stands at {}", directory ? "directory" : "file", file.value));
  }
  if (wired.empty()) return;
  const bool watched = !plan.HasRecords() && plan.features.Has(Feature::kFanotifyPerm);
  if (!plan.HasRecords() && !watched) {
    Diagnostic& refused = plan.enclave.diagnostics.Error(
        asset.at.place, "E0529",
        fmt::format("attempts of `{}` on the asset `{}` can't be recorded on `{}`",
                    plan.policy.name, asset.name, plan.enclave.target.name),
        "choices: a target with Landlock's audit records (Linux 6.15, in the initial PID and "
        "network namespaces) or with fanotify permission events (Linux 2.6.37, where they are "
        "built "
        "in), or the asset taken out");
    refused.component = plan.policy.name;
    refused.statement = "assets." + asset.name;
    return;
  }
  std::sort(wired.begin(), wired.end());
  std::vector<Control> controls;
  controls.reserve(wired.size() + 1);
  for (std::string& text : wired) controls.push_back({Layer::kView, std::move(text)});
  if (watched) {
    controls.push_back({Layer::kSupervisor, "refuses every opening of what stands there"});
    LetThrough(plan, asset);
  } else {
    controls.push_back({Layer::kLandlock, "no right on what stands there"});
  }
  plan.enclave.ledger.push_back(
      {plan.policy.name, "assets." + asset.name, std::move(controls),
       watched ? Status::kSubstituted : Status::kEnforced,
       watched ? Recorder::kTripwire : Recorder::kLandlockRecord,
       std::string(reaches ? "the rest of the asset is in its reach by the policy; " : "") +
           "opening and listing are recorded; names that the asset does not list answer ENOENT"});
}

}  // namespace

// Something is named beneath it, or a component keeps its state there; anything else is a file.
void FindAssetDirectories(EnclavePlan& enclave) {
  PathIndex named;
  std::set<std::string_view> states;
  for (const ComponentPolicy& component : enclave.policy.components) {
    for (const FileRule& rule : component.files) {
      named.Add(rule.path, 0);
      if (rule.verb == Verb::kState) states.insert(rule.path);
    }
  }
  named.Sort();
  for (const AssetPolicy& asset : enclave.policy.assets) {
    PathIndex listed;
    for (const Text& file : asset.files) listed.Add(file.value, 0);
    listed.Sort();
    for (const Text& file : asset.files) {
      if (states.contains(file.value) || !listed.Beneath(file.value).empty() ||
          !named.Beneath(file.value).empty()) {
        enclave.asset_directories.insert(&file);
      }
    }
  }
}

void PlanAssets(ComponentPlan& plan) {
  for (const AssetPolicy& asset : plan.enclave.policy.assets) PlanAsset(plan, asset);
}

}  // namespace bulkhead
