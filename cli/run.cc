// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/inputs.h"
#include "cli/runtime.h"
#include "policy/text.h"
#include "sandbox/probe_kernel.h"

namespace bulkhead {
namespace {

// bulkhead-init takes what begins with a hyphen for an option.
std::string AsOperand(const std::string& path) {
  return path.starts_with('-') ? "./" + path : path;
}

// Inside the component's view the search path is that of its own environment; the first program
// that this machine has there is the one that the view can show.
std::optional<std::string> ProgramOf(const ProfileData& profile, const std::string& name) {
  std::string search = "/usr/bin:/bin";
  for (const EnvVar& variable : profile.environment) {
    if (variable.name == "PATH") search = variable.value;
  }
  return FindProgram(name, search);
}

}  // namespace

// What has been verified here is what bulkhead-init reads: a sealed copy in memory, which leaves
// nothing behind when it ends.
int RunEnclave(const Invocation& invocation) {
  // Without privileges the running kernel can't be measured either: its target would lack what this
  // process may not try, and the policy would be blamed.
  const std::vector<std::string> missing = MissingPrivileges(false);
  for (const std::string& line : missing) PrintError("missing: " + line);
  if (!missing.empty()) {
    PrintError("this process may not confine others; the enclave does not boot");
    return kExitCannot;
  }
  const auto opened = OpenInput(invocation, true);
  if (!opened) return opened.error();
  const auto copy = SealedCopy("bundle", opened->bytes);
  if (!copy) {
    PrintError(copy.error());
    return kExitCannot;
  }
  return BecomeInit(invocation.One(Parameter::kInit), {fmt::format("/proc/self/fd/{}", *copy)});
}

int RunProgram(const Invocation& invocation) {
  const std::string path = invocation.One(Parameter::kBundle);
  const auto opened = OpenBundle(path);
  if (!opened) return opened.error();
  const std::string component = invocation.One(Parameter::kComponent);
  const auto profile = FindComponent(opened->bundle, component);
  if (!profile) return profile.error();
  std::vector<std::string> arguments{"--only", component, AsOperand(path)};
  std::vector<std::string> program = invocation.All(Parameter::kProgram);
  if (!program.empty()) {
    const auto found = ProgramOf(**profile, program.front());
    if (!found) {
      PrintError(fmt::format("{} is not in the component's PATH", Quoted(program.front())),
                 "give the program's absolute path");
      return kExitCannot;
    }
    program.front() = *found;
    arguments.emplace_back("--");
    arguments.insert(arguments.end(), program.begin(), program.end());
  }
  return BecomeInit(invocation.One(Parameter::kInit), arguments);
}

}  // namespace bulkhead
