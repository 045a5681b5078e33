// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/inputs.h"
#include "compiler/export_oci.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Bytes = std::vector<uint8_t>;
using Make =
    std::function<tl::expected<Bytes, std::string>(const ProfileData&, const ExportOptions&)>;

ExportOptions OptionsOf(const Invocation& invocation, Parameter refuse) {
  const std::string refusal = invocation.One(refuse);
  ExportOptions options;
  if (refusal == "errno") options.refusal = Refusal::kErrno;
  if (refusal == "kill") options.refusal = Refusal::kKill;
  options.with_execve = invocation.One(Parameter::kExecve) == "allow";
  return options;
}

bool RefusesExecve(const ProfileData& profile) {
  const auto nr = SyscallNumber(profile.arch, "execve");
  return nr && Evaluate(profile.filter, {*nr, AuditArch(profile.arch), 0, {}}).action != kRetAllow;
}

int Export(const Invocation& invocation, const ExportOptions& options, const Make& make) {
  const auto opened = OpenBundle(invocation.One(Parameter::kBundle));
  if (!opened) return opened.error();
  const std::string name = invocation.One(Parameter::kComponent);
  const auto profile = FindComponent(opened->bundle, name);
  if (!profile) return profile.error();
  const auto bytes = make(**profile, options);
  if (!bytes) {
    PrintError(fmt::format("the filter of `{}` can't be written so: {}", name, bytes.error()));
    return kExitNo;
  }
  const std::string path = invocation.One(Parameter::kFileOutput);
  if (const auto written = WriteAtomically(path, *bytes); !written) {
    PrintError(written.error());
    return kExitCannot;
  }
  if (!options.with_execve && RefusesExecve(**profile)) {
    PrintNote(
        "execve is refused: a launcher that loads the filter before its own execve needs "
        "`--execve allow`");
  }
  return kExitDone;
}

}  // namespace

int ExportToBpf(const Invocation& invocation) {
  const auto make = [](const ProfileData& profile, const ExportOptions& options) {
    return ExportFilter(profile, options).map(EncodeFilter);
  };
  return Export(invocation, OptionsOf(invocation, Parameter::kRefuse), make);
}

int ExportToOci(const Invocation& invocation) {
  const auto make = [](const ProfileData& profile, const ExportOptions& options) {
    return ExportOci(profile, options).map([](const std::string& text) {
      return Bytes(text.begin(), text.end());
    });
  };
  return Export(invocation, OptionsOf(invocation, Parameter::kOciRefuse), make);
}

}  // namespace bulkhead
