// SPDX-License-Identifier: Apache-2.0
#include "cli/probe_bundle.h"

#include <algorithm>

#include "profiles/landlock.h"

namespace bulkhead {
namespace {

void AddToView(ProfileData& profile, const std::string& path, ViewKind kind, uint64_t access) {
  ViewEntry entry;
  entry.path = path;
  entry.kind = kind;
  entry.rule = "probe";
  const auto place = std::ranges::upper_bound(profile.view, path, {}, &ViewEntry::path);
  profile.view.insert(place, std::move(entry));
  if (profile.landlock.handled_files == 0) return;
  auto& rules = profile.landlock.rules;
  const auto behind = std::ranges::upper_bound(rules, path, {}, &LandlockRule::path);
  rules.insert(behind, {path, access & profile.landlock.handled_files, false, "probe"});
}

void Change(ProfileData& profile, const ProbeFiles& files, const std::vector<std::string>* words) {
  profile.argv = {files.program, "idle"};
  if (words != nullptr) {
    profile.argv.resize(1);
    profile.argv.insert(profile.argv.end(), words->begin(), words->end());
  }
  profile.pin.reset();
  profile.stdout_to = Stream::kLog;
  profile.stderr_to = Stream::kLog;
  AddToView(profile, files.program, ViewKind::kReadOnly, landlock::kExecute | landlock::kReadFile);
  AddToView(profile, files.granted, ViewKind::kData, landlock::kReadFile);
  profile.startup.clear();
  const Lifecycle before = profile.lifecycle;
  profile.lifecycle = {};
  profile.lifecycle.restart = RestartWhen::kNever;
  profile.lifecycle.stop_signal = before.stop_signal;
  profile.instances = {};
}

}  // namespace

std::string WritableDirectory(const ProfileData& profile) {
  for (const ViewKind kind : {ViewKind::kPrivate, ViewKind::kRuntime}) {
    const auto found = std::ranges::find(profile.view, kind, &ViewEntry::kind);
    if (found != profile.view.end()) return found->path;
  }
  return "/nowhere";
}

tl::expected<Bundle, std::string> ProbeBundle(const Bundle& bundle, const ProbeFiles& files,
                                              const ProbeWords& words) {
  BundleData data = *bundle;
  for (ProfileData& profile : data.components) {
    const auto found = words.find(profile.name);
    Change(profile, files, found == words.end() ? nullptr : &found->second);
  }
  // The register is the enclave's own: once it holds another bundle, that one does not boot.
  data.measure.kind = RegisterKind::kNone;
  data.measure.policy = 0;
  data.measure.events.reset();
  data.sinks = {{SinkKind::kFile, files.audit}};
  data.output = {{{SinkKind::kStdout, ""}}, 0};
  return Bundle::Make(std::move(data));
}

}  // namespace bulkhead
