// SPDX-License-Identifier: Apache-2.0
// From the command line to a compiled bundle: policies are loaded and compiled, bundles are read
// and verified. Where a function gives an exit code, what is wrong has been printed. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "cli/command_line.h"
#include "cli/places.h"
#include "compiler/compile.h"
#include "policy/diagnostics.h"
#include "policy/load.h"
#include "profiles/bundle.h"

namespace bulkhead {

// What a command line says of a policy, before the policy is read.
struct PolicyInputs {
  std::string path;
  LoadOptions load;
  CompileOptions compile;
};
tl::expected<PolicyInputs, int> ReadInputs(const std::string& path, const Invocation& invocation);

struct PolicyResult {  // of a policy that could be read
  Sources sources;
  std::optional<LoadedPolicy> loaded;      // nothing where it has no meaning
  std::vector<Diagnostic> diagnostics;     // sorted
  std::optional<CallMix> mix;              // of --weights
  std::optional<Compilation> compilation;  // nothing exactly when there are errors
};
// Without `invariants` a broken one is no error.
tl::expected<PolicyResult, int> CompilePolicy(const std::string& path, const Invocation& invocation,
                                              bool invariants = true);

// To standard error for people.
void PrintDiagnostics(const PolicyResult& result);
// {"diagnostics": [...]} with `ok` before it.
std::string FailureJson(const PolicyResult& result);

struct Opened {
  Bundle bundle;
  std::vector<uint8_t> bytes;
  Digest digest{};
  Places places;  // empty when there is no map, or one of another bundle
};

tl::expected<Opened, int> OpenBundle(const std::string& path);
// From where in the policy each statement of the bundle comes.
Places PlacesOf(const Compilation& compilation, const Sources& sources, const Digest& digest);
// A bundle, or a policy (a file named .yaml or .yml), which is compiled. Without `invariants` a
// broken one is no error.
tl::expected<Opened, int> OpenFile(const std::string& path, const Invocation& invocation,
                                   bool invariants);
tl::expected<Opened, int> OpenInput(const Invocation& invocation, bool invariants);

// Of the bundle of --bundle; nothing without one.
tl::expected<std::optional<Arch>, int> ArchOfLog(const Invocation& invocation);

// The component, or exit code 2.
tl::expected<const ProfileData*, int> FindComponent(const Bundle& bundle, const std::string& name);

// The rows of a map whose first line names `digest`; nothing for any other text.
std::optional<Places> ParseMap(std::string_view text, const Digest& digest);

// Such as "2027-03-01".
std::string TodayUtc();
// That of --date, or today's.
tl::expected<std::string, int> DateOf(const Invocation& invocation);

}  // namespace bulkhead
