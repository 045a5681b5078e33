// SPDX-License-Identifier: Apache-2.0
// What a bundle needs of the root of its image: what is not there would stop the boot. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/image_tree.h"
#include "profiles/bundle.h"

namespace bulkhead {

struct ImageProblem {
  std::string component;
  std::string statement;
  std::string path;
  std::string what;  // "is not there"
};

// Reads the contents of pinned programs. Sorted as the bundle is.
std::vector<ImageProblem> CheckTree(const Bundle& bundle, const ImageTree& tree);

// Reads the tree, a directory or a tar archive, and checks it; an error for people.
tl::expected<std::vector<ImageProblem>, std::string> CheckRoot(const Bundle& bundle,
                                                               const std::string& root);

// The text of the tree's key for bundles as bulkhead-init will find it, which follows no link
// there; empty: the tree has none; "?" for what is there and is no text of a key.
std::string BundleKeyText(const ImageTree& tree);

// Gives to each component what it has as state, and what it alone may write; returns the paths that
// several components may write, which stay root's.
std::vector<std::string> SetOwners(const Bundle& bundle, ImageTree& tree);

}  // namespace bulkhead
