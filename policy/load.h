// SPDX-License-Identifier: Apache-2.0
// The one entry point of policy/: YAML bytes to a Policy. Reads the policy file, the files of its
// `use`, the shipped library; checks against the schema; merges profiles; substitutes variables.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

struct LoadOptions {
  std::map<std::string, std::string> set;  // --set name=value, over the policy's vars
  std::string target;                      // --target, over the policy's `target`
  std::function<TargetSpec()> running;     // asked for what `target: running` stands for
};

struct LoadedPolicy {
  Policy policy;
  TargetSpec target;
};

// nullopt exactly when `diagnostics` has errors. `sources` receives every file read, for rendering.
// A file that can't be read is error E0001 at its place of use.
std::optional<LoadedPolicy> LoadPolicyFile(const std::string& path, const LoadOptions& options,
                                           Sources& sources, Diagnostics& diagnostics);

// The same from text; `use` and a target path are taken relative to `directory`.
std::optional<LoadedPolicy> LoadPolicyText(std::string name, std::string text,
                                           const std::string& directory, const LoadOptions& options,
                                           Sources& sources, Diagnostics& diagnostics);

}  // namespace bulkhead
