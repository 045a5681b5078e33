// SPDX-License-Identifier: Apache-2.0
// ApplyView: runs in the reaper between clone and exec, so nothing here allocates.
#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

#include "sandbox/view.h"

namespace bulkhead {
namespace {

// Relative to the view's root, which is the working directory while the view is put together.
const char* Inside(const std::string& path) { return path.c_str() + 1; }

long MakeDirectory(Kernel& kernel, const ViewOp& op) {
  const long result = kernel(SYS_mkdirat, AT_FDCWD, Inside(op.path), op.mode ? op.mode : 0755U);
  return result == -EEXIST && op.may_exist ? 0 : result;
}

long MakeFile(Kernel& kernel, const ViewOp& op) {
  const long fd = kernel(SYS_openat, AT_FDCWD, Inside(op.path),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600U);
  if (fd < 0) return fd == -EEXIST && op.may_exist ? 0 : fd;
  long result = 0;
  if (!op.source.empty() && op.kind == ViewOpKind::kFile) {
    const long written = kernel(SYS_write, fd, op.source.data(), op.source.size());
    if (written != static_cast<long>(op.source.size())) result = written < 0 ? written : -EIO;
  }
  if (result == 0) result = kernel(SYS_fchmod, fd, op.mode ? op.mode : 0444U);
  const long closed = kernel(SYS_close, fd);
  return result < 0 ? result : closed;
}

// A bind takes its flags only from a second, remounting call.
long Bind(Kernel& kernel, const ViewOp& op) {
  const bool directory = op.kind == ViewOpKind::kBindDirectory;
  long result = 0;
  if (!op.may_exist || directory) {
    result = directory ? MakeDirectory(kernel, op) : MakeFile(kernel, op);
  }
  // A directory that only a read-only bind could carry is there already or can't be made.
  if (result == -EROFS && op.may_exist) result = 0;
  if (result < 0) return result;
  // Without a source it is the path itself, made earlier, that gets a mount of its own.
  const char* source = op.source.empty() ? Inside(op.path) : op.source.c_str();
  result = kernel(SYS_mount, source, Inside(op.path), nullptr, MS_BIND, nullptr);
  if (result < 0) return result;
  return kernel(SYS_mount, nullptr, Inside(op.path), nullptr, MS_BIND | MS_REMOUNT | op.flags,
                nullptr);
}

long Tmpfs(Kernel& kernel, const ViewOp& op) {
  if (long made = MakeDirectory(kernel, op); made < 0 && !(made == -EROFS && op.may_exist)) {
    return made;
  }
  return kernel(SYS_mount, "tmpfs", Inside(op.path), "tmpfs", op.flags, op.options.c_str());
}

long Apply(Kernel& kernel, const ViewOp& op, int tripwires) {
  switch (op.kind) {
    case ViewOpKind::kDirectory:
      return MakeDirectory(kernel, op);
    case ViewOpKind::kSymlink:
      return kernel(SYS_symlinkat, op.source.c_str(), AT_FDCWD, Inside(op.path));
    case ViewOpKind::kFile:
      return MakeFile(kernel, op);
    case ViewOpKind::kBindDirectory:
    case ViewOpKind::kBindFile:
      return Bind(kernel, op);
    case ViewOpKind::kTmpfs:
      return Tmpfs(kernel, op);
    case ViewOpKind::kProc:
      return kernel(SYS_mount, "proc", Inside(op.path), "proc", op.flags, op.options.c_str());
    case ViewOpKind::kWatch:
      return kernel(SYS_fanotify_mark, tripwires, FAN_MARK_ADD,
                    FAN_OPEN_PERM | FAN_ONDIR | FAN_EVENT_ON_CHILD, AT_FDCWD, Inside(op.path));
  }
  return -EINVAL;
}

bool Check(long result, Step step, uint32_t index, Failure& failure) {
  if (result >= 0) return true;
  failure = {step, index, static_cast<int32_t>(-result)};
  return false;
}

}  // namespace

bool ApplyView(Kernel& kernel, const std::string& staging, const std::vector<ViewOp>& ops,
               int tripwires, Failure& failure) {
  constexpr unsigned long kRootFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  // Modes of what is made here are stated, whatever umask was inherited.
  kernel(SYS_umask, 0);
  if (!Check(kernel(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
             Step::kPrivateMounts, 0, failure) ||
      !Check(kernel(SYS_mount, "tmpfs", staging.c_str(), "tmpfs", kRootFlags,
                    "size=1048576,mode=0755"),
             Step::kViewRoot, 0, failure) ||
      !Check(kernel(SYS_chdir, staging.c_str()), Step::kViewRoot, 1, failure)) {
    return false;
  }
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!Check(Apply(kernel, ops[i], tripwires), Step::kViewEntry, static_cast<uint32_t>(i),
               failure)) {
      return false;
    }
  }
  return Check(kernel(SYS_mount, nullptr, ".", nullptr,
                      MS_REMOUNT | MS_BIND | MS_RDONLY | kRootFlags, nullptr),
               Step::kViewSeal, 0, failure) &&
         Check(kernel(SYS_pivot_root, ".", "."), Step::kPivot, 0, failure) &&
         Check(kernel(SYS_umount2, ".", MNT_DETACH), Step::kPivot, 1, failure) &&
         Check(kernel(SYS_chdir, "/"), Step::kPivot, 2, failure);
}

}  // namespace bulkhead
