// SPDX-License-Identifier: Apache-2.0
// Loads policies for tests and renders what was found.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "policy/load.h"

namespace bulkhead::testing {

struct Loaded {
  std::optional<LoadedPolicy> policy;
  Diagnostics diagnostics;
  Sources sources;

  std::string Rendered() const {
    std::string text;
    for (const Diagnostic& d : diagnostics.Sorted()) text += RenderText(d, sources, false);
    return text;
  }

  bool HasCode(std::string_view code) const {
    for (const Diagnostic& d : diagnostics.Sorted()) {
      if (d.code == code) return true;
    }
    return false;
  }
};

inline Loaded LoadText(std::string text, const LoadOptions& options = {},
                       const std::string& directory = ".") {
  Loaded loaded;
  loaded.policy = LoadPolicyText("policy.yaml", std::move(text), directory, options, loaded.sources,
                                 loaded.diagnostics);
  return loaded;
}

inline std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::filesystem::path TestFolder() {
  return std::filesystem::path(BULKHEAD_SOURCE_DIR) / "tests" / "policy";
}

// A policy of one component; `body` stands below the component's `exec`, indented by four.
inline std::string OneComponent(std::string_view body, std::string_view top = {}) {
  return "bulkhead: 1\nenclave: test\ntarget: linux-6.18\n" + std::string(top) +
         "components:\n  one:\n    exec: [/usr/bin/true]\n" + std::string(body);
}

inline const ComponentPolicy& Component(const Loaded& loaded, std::string_view name) {
  for (const ComponentPolicy& component : loaded.policy->policy.components) {
    if (component.name == name) return component;
  }
  throw std::runtime_error("no such component");
}

}  // namespace bulkhead::testing
