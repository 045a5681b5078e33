// SPDX-License-Identifier: Apache-2.0
// The few options of bulkhead-init. Nothing that decides about confinement or devices can be given
// here: all of that is in the bundle, which is measured. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace bulkhead {

inline constexpr int kExitUsage = 2;
inline constexpr int kExitEnvironment = 3;

struct InitOptions {
  std::string bundle;
  std::string only;                  // one component instead of all
  std::vector<std::string> command;  // with `only`: instead of the component's own
  std::optional<int> exit;           // set: print `text` and exit with this
  std::string text;
};

InitOptions ParseInitOptions(int argc, char** argv);

}  // namespace bulkhead
