// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/json.h"
#include "cli/running.h"
#include "policy/kernel_config.h"
#include "sandbox/probe_kernel.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxConfig = 4U << 20;

Json SpecJson(const TargetSpec& spec) {
  Json target = TargetJson(spec.target);
  target["paths"] = spec.path_sets;
  return target;
}

std::string LimitsYaml(const std::vector<ConfigLimit>& limits) {
  std::string out;
  for (const ConfigLimit& limit : limits) {
    const FeatureInfo& info = Info(limit.feature);
    out += fmt::format("# {} ({}):", info.key, info.what);
    if (!limit.since.empty()) out += fmt::format(" Linux {}", limit.since);
    out += '\n';
    for (const std::string& line : limit.lines) out += fmt::format("#   {}\n", line);
  }
  if (out.empty()) return out;
  return "# What would lift each limit, as a Kconfig fragment or the release that has more:\n" +
         out;
}

Json LimitsJson(const std::vector<ConfigLimit>& limits) {
  Json list = Json::array();
  for (const ConfigLimit& limit : limits) {
    list.push_back(
        {{"feature", Info(limit.feature).key}, {"kconfig", limit.lines}, {"since", limit.since}});
  }
  return list;
}

int ReadConfiguration(const std::string& path, bool json) {
  const auto bytes = ReadFile(path, kMaxConfig);
  if (!bytes) {
    PrintError(fmt::format("cannot read `{}`: {}", path, bytes.error()));
    return kExitCannot;
  }
  const auto kernel =
      ReadKernelConfig({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, "configured");
  if (!kernel) {
    PrintError(fmt::format("`{}`: {}", path, kernel.error()));
    return kExitNo;
  }
  const TargetSpec spec{kernel->target, HostPathSets(kernel->target.arch)};
  const bool printed =
      json
          ? PrintOut(JsonText({{"target", SpecJson(spec)}, {"limits", LimitsJson(kernel->limits)}}))
          : PrintOut(TargetYaml(spec,
                                "What a kernel of this configuration offers, if its boot "
                                "leaves it so.") +
                     LimitsYaml(kernel->limits));
  return printed ? kExitDone : kExitCannot;
}

}  // namespace

int Doctor(const Invocation& invocation) {
  const bool json = invocation.One(Parameter::kTargetFormat) == "json";
  const std::string config(invocation.One(Parameter::kKernelConfig));
  if (!config.empty()) return ReadConfiguration(config, json);
  const TargetSpec spec = RunningSpec();
  // What only audit records need is no bar: targets without them have substitutes.
  const std::vector<std::string> missing = MissingPrivileges(false);
  const bool printed =
      json ? PrintOut(JsonText({{"can_confine", missing.empty()},
                                {"missing", missing},
                                {"target", SpecJson(spec)}}))
           : PrintOut(TargetYaml(
                 spec, "What the running kernel offers, as bulkhead doctor measured it."));
  for (const std::string& line : missing) PrintError("missing: " + line);
  if (!missing.empty()) PrintError("components can't be confined here");
  return missing.empty() && printed ? kExitDone : kExitCannot;
}

}  // namespace bulkhead
