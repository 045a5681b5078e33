// SPDX-License-Identifier: Apache-2.0
// From the view entries of a profile to a flat list of mount operations. PlanView looks at the
// enclave's file system (which parts are symbolic links, what is a file and what a directory) and
// decides everything; ApplyView only does what the list says, without allocating, in the reaper.
//
// Symbolic links on the way to a named path are made again in the view, but only where nobody but
// root could have put them: the link and its directory belong to root and the directory is not
// writable by others. Binds are not recursive: what is mounted beneath a named path stays out.
//
// The compiler compares paths by their text, so only what is read may have two: what is written, a
// device and the directory of an edge are refused behind a link, and what is read behind one must
// not be what somebody of the enclave writes.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "profiles/profile.h"
#include "sandbox/kernel.h"
#include "sandbox/step.h"

namespace bulkhead {

enum class ViewOpKind : uint8_t {
  kDirectory,
  kSymlink,
  kFile,
  kBindDirectory,
  kBindFile,
  kTmpfs,
  kProc,
  kCoverProc,
  kWatch
};

struct ViewOp {
  ViewOpKind kind = ViewOpKind::kDirectory;
  std::string path;     // where, beneath the view's root: absolute
  std::string source;   // bind: absolute path on the enclave, empty for `path` itself; symlink: its
                        // text; file: content
  std::string options;  // tmpfs and proc mount data
  unsigned long flags = 0;  // MS_*
  uint32_t mode = 0;        // files and directories made
  bool may_exist = false;   // a directory or mount point that an earlier bind may already carry
  bool in_mount = false;    // beneath a mount of the view, where others may change what names mean
  std::string origin;       // the policy's path, for messages

  bool operator==(const ViewOp&) const = default;
};

// What may be in a view under its own name alone.
struct KeptPath {
  std::string path;
  bool within = false;  // but a link beneath it may lead to what is beneath it
  bool linked = false;  // a name that comes of links, so no statement was judged by it
};

struct ViewContext {
  std::string notify_source;     // directory of the component's readiness socket; empty: none
  bool watch_tripwires = false;  // mark them in the fanotify group given to ApplyView
  bool proc_subset = false;      // the target can mount /proc with its processes alone (Linux 5.8)
  // What components write, directories of edges, the supervisor's own: nothing of it is reached by
  // a second name.
  std::vector<KeptPath> kept = {};
};

// Where a component finds its readiness socket.
inline constexpr const char* kNotifyDirectory = "/run/notify";
inline constexpr const char* kNotifySocket = "/run/notify/socket";

struct ViewError {
  std::string path;
  int error = 0;  // errno, or 0 where `reason` says it all
  std::string reason;
};

// Which operations of a view make the same for every run of a component, and which make what each
// run has for itself: temporary directories, /proc, the readiness socket, and whatever is beneath
// these. Where the first have been done the others can be done in a copy of that mount namespace.
struct SplitOps {
  std::vector<ViewOp> shared;  // with a directory in the place of what is a run's own
  std::vector<ViewOp> own;
  std::vector<uint32_t> own_index;  // of each in the view, for messages
};
// Pure. Empty: it can't be split, as where a file of the enclave is beneath what is a run's own:
// from a copy of the view it could not be found any more.
std::optional<SplitOps> SplitView(const std::vector<ViewOp>& view);

// Why `path` of the profile's view, which is `real` on the enclave, may not be in it: what is
// `kept` is there by its own name alone. Empty: it may.
std::string MeetsKept(const ProfileData& profile, const std::vector<KeptPath>& kept,
                      const std::string& path, const std::string& real);

tl::expected<std::vector<ViewOp>, ViewError> PlanView(const Profile& profile,
                                                      const ViewContext& context, Kernel& kernel);

// Makes the view's root at `staging`, applies every operation, seals it and pivots into it. In the
// reaper: a new mount namespace, capabilities still held. On failure `failure` says which step.
// `tripwires` is the fanotify group for kWatch operations, -1 where there are none.
// The old root is still there then, as the working directory and behind `/..`.
[[nodiscard]] bool ApplyView(Kernel& kernel, const std::string& staging,
                             const std::vector<ViewOp>& ops, int tripwires, Failure& failure);

// In the place of that: enters a copy of a prepared mount namespace (sandbox/prepared_view.h),
// which has no old root, and adds what is the run's own.
[[nodiscard]] bool CompleteView(Kernel& kernel, int mount_namespace, const SplitOps& ops,
                                int tripwires, Failure& failure);

// Ends the old root; for the whole mount namespace, but for other processes' working directories.
// The kernel waits here until no processor looks at the mounts any more (synchronize_rcu_expedited,
// up to hundreds of microseconds), so the component is forked before and goes on meanwhile.
[[nodiscard]] bool DetachOldRoot(Kernel& kernel, Failure& failure);

}  // namespace bulkhead
