// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sandbox/view.h"

namespace bulkhead {
namespace {

bool IsOwn(const ViewOp& op) {
  return op.kind == ViewOpKind::kTmpfs || op.kind == ViewOpKind::kProc ||
         op.path == kNotifyDirectory;
}

// The directory that the run's own is mounted on.
ViewOp PlaceOf(const ViewOp& op) {
  ViewOp place;
  place.kind = ViewOpKind::kDirectory;
  place.path = op.path;
  place.mode = op.mode;
  place.may_exist = true;
  place.in_mount = op.in_mount;
  place.origin = op.origin;
  return place;
}

}  // namespace

std::optional<SplitOps> SplitView(const std::vector<ViewOp>& view) {
  SplitOps split;
  std::vector<std::string> own;
  for (size_t i = 0; i < view.size(); ++i) {
    const ViewOp& op = view[i];
    // It makes a file in /dev, which is read-only by then.
    if (op.kind == ViewOpKind::kCoverProc) return std::nullopt;
    const bool beneath = std::ranges::any_of(own, [&](const std::string& directory) {
      return op.path != directory && Covers(directory, op.path);
    });
    if (!beneath && !IsOwn(op)) {
      split.shared.push_back(op);
      continue;
    }
    // By then its path is one of the view.
    const bool bind = op.kind == ViewOpKind::kBindDirectory || op.kind == ViewOpKind::kBindFile;
    if (bind && !op.source.empty()) return std::nullopt;
    split.own.push_back(op);
    split.own_index.push_back(static_cast<uint32_t>(i));
    if (beneath) continue;
    split.own.back().may_exist = true;
    split.shared.push_back(PlaceOf(op));
    own.push_back(op.path);
  }
  return split;
}

}  // namespace bulkhead
