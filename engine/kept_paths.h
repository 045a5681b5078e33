// SPDX-License-Identifier: Apache-2.0
// What may be in a view under its own name alone: nobody's files are read by a second one, which no
// question to the policy would know of. MeetsKept in sandbox/view.h judges by it. Links within the
// kernel's own trees, or within what a component writes, lead to no more than these.
//
// No errors. No state, any thread, where the ReadLink has none.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "profiles/bundle.h"
#include "sandbox/view.h"

namespace bulkhead {

// The text of the symbolic link at a path whose directories are none; empty: there is no link.
using ReadLink = std::function<std::string(const std::string& path)>;

// Of this machine's root.
std::string LinkOnMachine(const std::string& path);

// `path` without links, of what is not there as far as links lead to it. `path` itself where they
// lead round in a circle.
std::string NameWithoutLinks(const std::string& path, const ReadLink& read_link);

// By the names that the bundle has, and by those without links that these have in a root, which
// decide.
std::vector<KeptPath> KeptPaths(const Bundle& bundle, const std::string& run_directory,
                                const ReadLink& read_link);

// An asset must be named without links: its name is what the policy's tests and invariants are
// asked about.
struct LinkedAsset {
  std::string asset;
  std::string file;
  std::string problem;  // what there is to say of the file
};
std::vector<LinkedAsset> LinkedAssets(const Bundle& bundle, const ReadLink& read_link);

}  // namespace bulkhead
