// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/running.h"
#include "compiler/oci_import.h"
#include "policy/text.h"
#include "policy/yaml_events.h"
#include "profiles/profile.h"

namespace bulkhead {
namespace {

tl::expected<ImportOptions, int> OptionsOf(const Invocation& invocation) {
  ImportOptions options;
  if (invocation.Has(Parameter::kImportTarget)) {
    options.target = invocation.One(Parameter::kImportTarget);
  }
  options.running = RunningSpec;
  options.caps = invocation.All(Parameter::kCapability);
  for (const std::string& cap : options.caps) {
    if (IsCapability(cap)) continue;
    PrintError(fmt::format("{} is not a capability", Quoted(cap)),
               "capabilities look like `CAP_SYS_PTRACE`");
    return tl::make_unexpected(kExitWrongUsage);
  }
  if (!invocation.Has(Parameter::kImportExec)) return options;
  options.exec = invocation.One(Parameter::kImportExec);
  if (!IsNormalPath(options.exec) || options.exec == "/") {
    PrintError(fmt::format("{} is not the path of a program", Quoted(options.exec)),
               "write an absolute path without `.`, `..`, doubled or trailing `/`");
    return tl::make_unexpected(kExitWrongUsage);
  }
  return options;
}

void PrintLosses(const std::vector<Loss>& losses, const Sources& sources) {
  for (const Loss& loss : losses) {
    PrintRaw(fmt::format("{}:{}:{}: not carried over: {}: {}\n",
                         Shown(sources[loss.place.file].name), loss.place.line, loss.place.column,
                         Shown(loss.what), Shown(loss.why)));
  }
}

}  // namespace

int ImportOciProfile(const Invocation& invocation) {
  const auto options = OptionsOf(invocation);
  if (!options) return options.error();
  const std::string path = invocation.One(Parameter::kOciProfile);
  const auto bytes = ReadFile(path, kMaxFileSize);
  if (!bytes) {
    PrintError(bytes.error());
    return kExitCannot;
  }
  Sources sources;
  Diagnostics diagnostics;
  const auto imported =
      ImportOci(path, std::string(bytes->begin(), bytes->end()), *options, sources, diagnostics);
  for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
    PrintRaw(RenderText(diagnostic, sources, ColorOn(STDERR_FILENO)));
  }
  if (!imported) return kExitNo;
  PrintLosses(imported->losses, sources);
  return PrintOut(imported->policy) ? kExitDone : kExitCannot;
}

}  // namespace bulkhead
