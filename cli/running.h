// SPDX-License-Identifier: Apache-2.0
// The running kernel as a target to compile for. Forks (sandbox/probe_kernel.h): one thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace bulkhead {

inline constexpr std::string_view kRunningTarget = "running";

// What this kernel offers, with the path sets of the Debian release that this machine runs, or of
// Debian 12 where it runs something else.
TargetSpec RunningSpec();

// The same for a kernel of this architecture that is not the running one.
std::map<std::string, std::vector<std::string>> HostPathSets(Arch arch);

// A target file that says the same; `origin` is its first comment, without `# `.
std::string TargetYaml(const TargetSpec& spec, std::string_view origin);

// The value of a field of an os-release(5) text, without its quotes; empty if it is not there.
std::string OsReleaseField(std::string_view text, std::string_view key);

}  // namespace bulkhead
