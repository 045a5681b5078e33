// SPDX-License-Identifier: Apache-2.0
#include "cli/running.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/files.h"
#include "policy/shipped.h"
#include "policy/target.h"
#include "sandbox/probe_kernel.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxOsRelease = 64U << 10;

std::string HostRelease() {
  const auto bytes = ReadFile("/etc/os-release", kMaxOsRelease);
  if (!bytes) return {};
  return OsReleaseField(std::string(bytes->begin(), bytes->end()), "VERSION_ID");
}

// Names of shipped targets, the most likely one first.
std::vector<std::string> Candidates() {
  constexpr std::string_view kFolder = "targets/";
  constexpr std::string_view kSuffix = ".yaml";
  std::vector<std::string> names{"debian-" + HostRelease(), "debian-12"};
  for (const ShippedFile& file : ShippedFiles()) {
    if (!file.name.starts_with(kFolder)) continue;
    const std::string_view name = file.name.substr(kFolder.size());
    names.emplace_back(name.substr(0, name.size() - kSuffix.size()));
  }
  return names;
}

std::string FeatureValue(const FeatureInfo& info, const FeatureSet& features) {
  if (info.is_level) return std::to_string(features.Level(info.feature));
  return features.Has(info.feature) ? "true" : "false";
}

}  // namespace

std::map<std::string, std::vector<std::string>> HostPathSets(Arch arch) {
  for (const std::string& name : Candidates()) {
    Sources sources;
    Diagnostics diagnostics;
    const auto spec = LoadTarget(Text{name, {}}, "", sources, diagnostics);
    if (spec && spec->target.arch == arch) return spec->path_sets;
  }
  return {};
}

std::string OsReleaseField(std::string_view text, std::string_view key) {
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    std::string_view line = text.substr(from, end - from);
    from = end + 1;
    if (!line.starts_with(key) || line.substr(key.size(), 1) != "=") continue;
    line.remove_prefix(key.size() + 1);
    const bool quoted = line.size() >= 2 && (line.front() == '"' || line.front() == '\'') &&
                        line.front() == line.back();
    return std::string(quoted ? line.substr(1, line.size() - 2) : line);
  }
  return {};
}

TargetSpec RunningSpec() {
  TargetSpec spec;
  spec.target = RunningTarget(std::string(kRunningTarget));
  spec.path_sets = HostPathSets(spec.target.arch);
  spec.devices = DefaultDevices();
  return spec;
}

std::string TargetYaml(const TargetSpec& spec, std::string_view origin) {
  const Target& target = spec.target;
  std::string out = fmt::format(
      "# {}\nbulkhead: 1\ntarget: {}\narch: {}\nkernel: \"{}.{}\"\nplatform: {}\nfeatures:\n",
      origin, target.name, ArchName(target.arch), target.kernel_major, target.kernel_minor,
      target.platform);
  for (const FeatureInfo& info : Features()) {
    out += fmt::format("  {:<24}{}\n", std::string(info.key) + ":",
                       FeatureValue(info, target.features));
  }
  if (spec.path_sets.empty()) return out;
  out += "paths:\n";
  for (const auto& [name, paths] : spec.path_sets) {
    out += fmt::format("  {}: [{}]\n", name, fmt::join(paths, ", "));
  }
  return out;
}

}  // namespace bulkhead
