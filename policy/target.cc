// SPDX-License-Identifier: Apache-2.0
#include "policy/target.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "policy/library.h"
#include "policy/scalars.h"
#include "policy/schema.h"
#include "policy/schema_check.h"
#include "policy/section.h"
#include "policy/shipped.h"
#include "policy/text.h"
#include "policy/yaml_events.h"

namespace bulkhead {
namespace {

constexpr std::string_view kFolder = "targets/";
constexpr std::string_view kSuffix = ".yaml";

uint32_t LevelOf(const std::string& text) {
  if (text == "true") return 1;
  return static_cast<uint32_t>(ParseInteger(text).value_or(0));
}

void BuildFeatures(const Section& features, FeatureSet& set, Diagnostics& diagnostics) {
  std::vector<std::string_view> keys;
  for (const FeatureInfo& info : Features()) keys.push_back(info.key);
  for (const Entry& entry : features.Entries()) {
    const auto feature = ParseFeature(entry.key);
    if (!feature) {
      const auto meant = Nearest(entry.key, keys);
      diagnostics.Error(entry.key_place, "E0234", Quoted(entry.key) + " is not a feature",
                        meant ? fmt::format("did you mean `{}`?", *meant)
                              : fmt::format("features are: {}", fmt::join(keys, ", ")));
      continue;
    }
    const bool level = entry.value.text != "true" && entry.value.text != "false";
    if (level != Info(*feature).is_level && entry.value.kind == NodeKind::kScalar) {
      diagnostics.Error(
          entry.value.place, "E0235",
          fmt::format("{} is {}", Quoted(entry.key), level ? "there or not" : "a level"),
          level ? "write `true` or `false`" : "write a number, 0 for none");
    }
    set.Set(*feature, LevelOf(entry.value.text));
  }
}

TargetSpec BuildTarget(const Node& root, Diagnostics& diagnostics) {
  const Section fields(&root, "");
  TargetSpec spec;
  spec.target.name = fields.TextOf("target");
  spec.target.arch = ParseArch(fields.TextOf("arch")).value_or(Arch::kX86_64);
  const auto kernel = ParseKernel(fields.TextOf("kernel")).value_or(std::pair(0U, 0U));
  spec.target.kernel_major = kernel.first;
  spec.target.kernel_minor = kernel.second;
  spec.target.platform = fields.TextOf("platform");
  BuildFeatures(fields.Sub("features"), spec.target.features, diagnostics);
  const Section paths = fields.Sub("paths");
  for (const Entry& entry : paths.Entries()) {
    for (const Node& item : entry.value.items) spec.path_sets[entry.key].push_back(item.text);
  }
  spec.devices = DefaultDevices();
  const Section devices = fields.Sub("devices");
  for (auto& [name, path] : spec.devices) path = devices.TextOf(name, path);
  return spec;
}

std::string_view NameOf(const ShippedFile& file) {
  std::string_view name = file.name.substr(kFolder.size());
  return name.substr(0, name.size() - kSuffix.size());
}

std::optional<TargetSpec> LoadShipped(const Text& target, Sources& sources,
                                      Diagnostics& diagnostics) {
  std::vector<std::string_view> names;
  for (const ShippedFile& file : ShippedFiles()) {
    if (!file.name.starts_with(kFolder)) continue;
    names.push_back(NameOf(file));
    if (names.back() == target.value) {
      return ReadTarget(fmt::format("<{}>", file.name), std::string(file.content), sources,
                        diagnostics);
    }
  }
  const auto meant = Nearest(target.value, names);
  diagnostics.Error(target.at.place, "E0005", Quoted(target.value) + " is not a target",
                    meant ? fmt::format("did you mean `{}`?", *meant)
                          : fmt::format("targets are: {}", fmt::join(names, ", ")));
  return std::nullopt;
}

}  // namespace

std::map<std::string, std::string> DefaultDevices() {
  std::map<std::string, std::string> devices;
  for (const Row* row : RowsOf("platform-devices")) {
    devices.emplace(row->key, row->fallback);
  }
  return devices;
}

std::optional<TargetSpec> ReadTarget(std::string name, std::string text, Sources& sources,
                                     Diagnostics& diagnostics) {
  const auto file = static_cast<uint32_t>(sources.size());
  sources.push_back({std::move(name), std::move(text)});
  std::optional<Node> root = ReadYaml(sources.back().text, file, diagnostics);
  if (!root) return std::nullopt;
  const size_t before = diagnostics.ErrorCount();
  CheckShape(*root, "target", diagnostics);
  TargetSpec spec = BuildTarget(*root, diagnostics);
  if (diagnostics.ErrorCount() != before) return std::nullopt;
  return spec;
}

std::optional<TargetSpec> LoadTarget(const Text& target, const std::string& directory,
                                     Sources& sources, Diagnostics& diagnostics) {
  if (!target.value.ends_with(kSuffix)) return LoadShipped(target, sources, diagnostics);
  const std::string path =
      (std::filesystem::path(directory) / target.value).lexically_normal().string();
  auto text = ReadPolicyBytes(path);
  if (!text) {
    diagnostics.Error(target.at.place, "E0001",
                      Quoted(target.value) + " can't be read: " + text.error());
    return std::nullopt;
  }
  return ReadTarget(path, std::move(*text), sources, diagnostics);
}

}  // namespace bulkhead
