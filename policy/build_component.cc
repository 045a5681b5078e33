// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "policy/build.h"
#include "policy/scalars.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

void ReportBadProgram(const Node& item, Diagnostics& diagnostics) {
  diagnostics.Error(item.place, "E0215", Quoted(item.text) + " is not the path of a program",
                    "name it by its absolute path: there is no search in PATH");
}

void BuildExec(const Section& fields, ComponentPolicy& component, Diagnostics& diagnostics) {
  const Statement at = fields.At("exec");
  bool first = true;
  for (const Node& item : fields.Items("exec")) {
    if (item.kind == NodeKind::kMap) {
      const Section program(&item, at.id);
      if (!first) {
        diagnostics.Error(item.place, "E0203", "an argument can't be a map",
                          "only the first item names the program");
        continue;
      }
      component.pin = ParseDigest(program.TextOf("sha384"));
      component.exec.push_back({program.TextOf("path"), {at.id, item.place}});
    } else {
      if (first && !IsNormalPath(item.text)) ReportBadProgram(item, diagnostics);
      component.exec.push_back({item.text, {at.id, item.place}});
    }
    first = false;
  }
}

void BuildEnv(const Section& env, ComponentPolicy& component, Diagnostics& diagnostics) {
  for (const Entry& entry : env.Entries()) {
    if (IsSupervisorsVariable(entry.key)) {
      diagnostics.Error(entry.key_place, "E0420", Quoted(entry.key) + " is set by the supervisor",
                        "listeners, `ready: notify` and `watchdog` bring it");
    }
    component.env.emplace_back(entry.key, Text{entry.value.text, env.At(entry.key)});
  }
  std::sort(component.env.begin(), component.env.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
}

Stream ParseStream(const std::string& word) {
  return word == "null" ? Stream::kNull : Stream::kLog;
}

void BuildProcess(const Section& fields, ComponentPolicy& component) {
  component.directory = {fields.TextOf("directory", "/"), fields.At("directory")};
  component.umask = ParseUmask(fields.TextOf("umask", "0077")).value_or(077);
  component.stdout_to = ParseStream(fields.TextOf("stdout", "log"));
  component.stderr_to = ParseStream(fields.TextOf("stderr", "log"));
  component.user_at = fields.At("user");
  if (const auto uid = ParseInteger(fields.TextOf("user"))) {
    component.user = static_cast<uint32_t>(*uid);
  }
}

void BuildLimits(const Section& limits, ComponentPolicy& component) {
  Limits& built = component.limits;
  built.memory = ParseSize(limits.TextOf("memory")).value_or(0);
  built.processes = static_cast<uint32_t>(ParseInteger(limits.TextOf("processes")).value_or(0));
  built.files = static_cast<uint32_t>(ParseInteger(limits.TextOf("files")).value_or(0));
  built.cpu_percent = ParsePercent(limits.TextOf("cpu")).value_or(0);
  built.cpu_yields = limits.TextOf("cpu-yields") == "true";
  built.file_size = ParseSize(limits.TextOf("file-size")).value_or(0);
  for (const Entry& entry : limits.Entries()) {
    component.limits_at.emplace(entry.key, limits.At(entry.key));
  }
}

std::vector<SecretPolicy> BuildSecrets(const Section& component) {
  std::vector<SecretPolicy> secrets;
  for (const Node& item : component.Items("secrets")) {
    const std::string name = Section(&item, "").TextOf("name");
    const Section fields(&item, component.id() + ".secrets:" + name);
    secrets.push_back({name, fields.TextOf("from"), {fields.id(), item.place}});
  }
  return secrets;
}

std::optional<AttestationPolicy> BuildAttestation(const Section& component) {
  if (!component.Has("attestation")) return std::nullopt;
  const Section section = component.Sub("attestation");
  const auto flag = [&](std::string_view key) { return section.TextOf(key) == "true"; };
  return AttestationPolicy{flag("random"),
                           flag("attest"),
                           flag("public-key"),
                           ParseRate(section.TextOf("rate", "10/min")).value_or(std::pair(1U, 1U)),
                           component.At("attestation"),
                           section.At("public-key")};
}

}  // namespace

ComponentPolicy BuildComponent(const Entry& entry, const Node& merged, Diagnostics& diagnostics) {
  const Section fields(&merged, "components." + entry.key);
  ComponentPolicy component;
  component.name = entry.key;
  component.at = {fields.id(), entry.key_place};
  if (entry.value.kind == NodeKind::kBad) return component;
  if (!fields.Has("exec")) {
    diagnostics.Error(entry.key_place, "E0202", Quoted(entry.key) + " has no `exec`",
                      "expected the program's absolute path and its arguments");
  }
  BuildExec(fields, component, diagnostics);
  BuildEnv(fields.Sub("env"), component, diagnostics);
  BuildProcess(fields, component);
  component.files = BuildFiles(fields.Sub("files"), diagnostics);
  component.devices = fields.Texts("devices");
  component.network = BuildNetwork(fields.Sub("network"), diagnostics);
  component.secrets = BuildSecrets(fields);
  component.attestation = BuildAttestation(fields);
  component.allow = BuildCalls(fields.Sub("syscalls"), "allow", diagnostics);
  component.startup = BuildCalls(fields.Sub("syscalls"), "startup", diagnostics);
  component.deny = BuildCalls(fields.Sub("syscalls"), "deny", diagnostics);
  BuildLimits(fields.Sub("limits"), component);
  component.after = fields.Texts("after");
  component.lifecycle = BuildLifecycle(fields, diagnostics);
  component.ready_at = fields.At("ready");
  component.watchdog_at = fields.At("watchdog");
  component.on_violation = fields.TextOf("on-violation") == "kill"      ? OnViolation::kKill
                           : fields.TextOf("on-violation") == "observe" ? OnViolation::kObserve
                                                                        : OnViolation::kRefuse;
  component.on_violation_at = fields.At("on-violation");
  component.instances = BuildInstances(fields);
  component.instances_at = fields.At("instances");
  return component;
}

}  // namespace bulkhead
