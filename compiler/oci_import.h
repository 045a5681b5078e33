// SPDX-License-Identifier: Apache-2.0
// From an OCI seccomp profile to a policy of one component, `imported`. What the compiled policy
// allows is read back from its filter and compared with the profile: of what the profile allows and
// the policy does not, nothing goes unlisted, and beyond the profile it allows only what every
// component may do. Pure but for `running`; thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

struct ImportOptions {
  std::string target = "running";       // as of --target
  std::vector<std::string> caps;        // whose conditional rules are taken: "CAP_SYS_PTRACE"
  std::string exec = "/usr/bin/true";   // the component's program, an absolute path
  std::function<TargetSpec()> running;  // as of LoadOptions
};

struct Loss {  // of the profile, or a difference from it
  Place place;
  std::string what;
  std::string why;
};

struct Imported {
  std::string policy;        // YAML that compiles for the target
  std::vector<Loss> losses;  // by place
};

// "CAP_SYS_ADMIN".
bool IsCapability(std::string_view name);

// The profile is `text`, added to `sources` as `name`. nullopt after an error: E0601 to E0612, or
// those of a policy for this target.
std::optional<Imported> ImportOci(std::string name, std::string text, const ImportOptions& options,
                                  Sources& sources, Diagnostics& diagnostics);

}  // namespace bulkhead
