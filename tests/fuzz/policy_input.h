// SPDX-License-Identifier: Apache-2.0
// What must hold for any text at all that is loaded as a policy. Shared by the fuzz target and the
// test that replays its corpus.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "policy/load.h"

namespace bulkhead::testing {

// Aborts when something does not hold.
inline std::optional<LoadedPolicy> TryPolicyInput(std::string_view input, Sources& sources,
                                                  Diagnostics& diagnostics) {
  // A folder that does not exist: no input makes a file be read.
  auto policy = LoadPolicyText("input.yaml", std::string(input), "/nonexistent/folder", {}, sources,
                               diagnostics);
  if (policy.has_value() == diagnostics.HasErrors()) std::abort();
  for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
    if (diagnostic.place.file >= sources.size() || diagnostic.place.line == 0) std::abort();
    const std::string text = RenderText(diagnostic, sources, false);
    for (const char c : text) {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') std::abort();
    }
  }
  RenderJson(diagnostics.Sorted(), sources);
  if (policy && policy->policy.components.empty()) std::abort();
  return policy;
}

inline bool TryPolicyInput(std::string_view input) {
  Sources sources;
  Diagnostics diagnostics;
  return TryPolicyInput(input, sources, diagnostics).has_value();
}

}  // namespace bulkhead::testing
