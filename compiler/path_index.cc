// SPDX-License-Identifier: Apache-2.0
#include "compiler/path_index.h"

#include <algorithm>
#include <string>
#include <tuple>

namespace bulkhead {

void PathIndex::Sort() { std::ranges::sort(paths_); }

void PathIndex::AppendEqual(std::string_view path, std::vector<OwnedPath>& to) const {
  auto at = std::ranges::lower_bound(paths_, path, {}, &OwnedPath::path);
  for (; at != paths_.end() && at->path == path; ++at) to.push_back(*at);
}

std::vector<OwnedPath> PathIndex::Beneath(std::string_view path) const {
  // In the order of bytes, all that begin alike stand together.
  const std::string start = path == "/" ? std::string(path) : std::string(path) + "/";
  std::vector<OwnedPath> found;
  auto at = std::ranges::lower_bound(paths_, std::string_view(start), {}, &OwnedPath::path);
  for (; at != paths_.end() && at->path.starts_with(start); ++at) {
    if (at->path != path) found.push_back(*at);
  }
  return found;
}

std::vector<OwnedPath> PathIndex::Meeting(std::string_view path) const {
  std::vector<OwnedPath> found = Beneath(path);
  AppendEqual(path, found);
  for (size_t slash = path.rfind('/'); path.size() > 1 && slash != std::string_view::npos;
       slash = slash == 0 ? std::string_view::npos : path.rfind('/', slash - 1)) {
    AppendEqual(slash == 0 ? "/" : path.substr(0, slash), found);
  }
  std::ranges::sort(found, {}, [](const OwnedPath& p) { return std::tie(p.owner, p.path); });
  return found;
}

}  // namespace bulkhead
