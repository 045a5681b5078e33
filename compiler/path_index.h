// SPDX-License-Identifier: Apache-2.0
// The paths of all components, for the questions that are about every pair of them. Views into the
// paths given; const after Sort; internal to compiler/.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace bulkhead {

struct OwnedPath {
  std::string_view path;
  size_t owner = 0;
  auto operator<=>(const OwnedPath&) const = default;
};

class PathIndex {
 public:
  void Add(std::string_view path, size_t owner) { paths_.push_back({path, owner}); }
  void Sort();  // after the last Add

  // Those that cover `path`, are it or lie beneath it; sorted by owner, then path.
  std::vector<OwnedPath> Meeting(std::string_view path) const;
  // Those that lie beneath it, in no order that matters.
  std::vector<OwnedPath> Beneath(std::string_view path) const;

 private:
  void AppendEqual(std::string_view path, std::vector<OwnedPath>& to) const;

  std::vector<OwnedPath> paths_;
};

}  // namespace bulkhead
