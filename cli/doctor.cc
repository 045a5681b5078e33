// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/json.h"
#include "cli/running.h"
#include "sandbox/probe_kernel.h"

namespace bulkhead {
namespace {

Json DoctorJson(const TargetSpec& spec, const std::vector<std::string>& missing) {
  Json target = TargetJson(spec.target);
  target["paths"] = spec.path_sets;
  return {{"can_confine", missing.empty()}, {"missing", missing}, {"target", target}};
}

}  // namespace

int Doctor(const Invocation& invocation) {
  const TargetSpec spec = RunningSpec();
  // What only audit records need is no bar: targets without them have substitutes.
  const std::vector<std::string> missing = MissingPrivileges(false);
  const bool printed = invocation.One(Parameter::kTargetFormat) == "json"
                           ? PrintOut(JsonText(DoctorJson(spec, missing)))
                           : PrintOut(TargetYaml(spec));
  for (const std::string& line : missing) PrintError("missing: " + line);
  if (!missing.empty()) PrintError("components can't be confined here");
  return missing.empty() && printed ? kExitDone : kExitCannot;
}

}  // namespace bulkhead
