// SPDX-License-Identifier: Apache-2.0
// ApplyView: runs in the reaper between clone and exec, so nothing here allocates.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sandbox/directory.h"
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
  const long fd =
      kernel(SYS_openat, AT_FDCWD, Inside(op.path),
             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, op.mode ? op.mode : 0444U);
  if (fd < 0) return fd == -EEXIST && op.may_exist ? 0 : fd;
  long result = 0;
  if (!op.source.empty() && op.kind == ViewOpKind::kFile) {
    const long written = kernel(SYS_write, fd, op.source.data(), op.source.size());
    if (written != static_cast<long>(op.source.size())) result = written < 0 ? written : -EIO;
  }
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

// Made in the view's /dev, where no policy names a file, and gone when /proc is covered.
constexpr const char* kCover = "dev/cover";

// Nothing stands at `path` any more but a file that nobody may open, or an empty directory.
long Cover(Kernel& kernel, const char* path, bool directory) {
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (directory) {
    return kernel(SYS_mount, "tmpfs", path, "tmpfs", kFlags, "size=4096,nr_inodes=1,mode=0555");
  }
  const long result = kernel(SYS_mount, kCover, path, nullptr, MS_BIND, nullptr);
  if (result < 0) return result;
  return kernel(SYS_mount, nullptr, path, nullptr, MS_BIND | MS_REMOUNT | kFlags, nullptr);
}

// Covers what `path`, the new /proc, holds beside processes. A link is left: it leads to a path of
// the view.
long CoverEntries(Kernel& kernel, const char* path, long directory) {
  const size_t prefix = std::strlen(path);
  std::array<char, 512> full;
  return EachEntry(kernel, directory, [&](const char* name, uint8_t type) -> long {
    const bool self = std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
    if (self || type == DT_LNK || (type == DT_DIR && NumberOf(name) >= 0)) return 0;
    const size_t size = std::strlen(name) + 1;
    if (prefix + 1 + size > full.size()) return -ENAMETOOLONG;
    std::memcpy(full.data(), path, prefix);
    full[prefix] = '/';
    std::memcpy(full.data() + prefix + 1, name, size);
    return Cover(kernel, full.data(), type == DT_DIR);
  });
}

// Before Linux 5.8 /proc comes with all that the kernel shows of itself. The mount's options, which
// 4.8 and later kernels pass over where the namespace has a /proc already, are given once more.
long CoverProc(Kernel& kernel, const ViewOp& op) {
  const char* path = Inside(op.path);
  long result =
      kernel(SYS_mount, nullptr, path, nullptr, MS_REMOUNT | op.flags, op.options.c_str());
  if (result < 0) return result;
  const long cover = kernel(SYS_openat, AT_FDCWD, kCover,
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0U);
  if (cover < 0) return cover;
  if (result = kernel(SYS_close, cover); result < 0) return result;
  const long directory = kernel(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return directory;
  result = CoverEntries(kernel, path, directory);
  const long closed = kernel(SYS_close, directory);
  if (result < 0 || closed < 0) return result < 0 ? result : closed;
  return kernel(SYS_unlinkat, AT_FDCWD, kCover, 0);
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
    case ViewOpKind::kCoverProc:
      return CoverProc(kernel, op);
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
         Check(kernel(SYS_pivot_root, ".", "."), Step::kPivot, 0, failure);
}

bool CompleteView(Kernel& kernel, int mount_namespace, const SplitOps& ops, int tripwires,
                  Failure& failure) {
  kernel(SYS_umask, 0);
  // Both make the namespace's root the root and the working directory.
  if (!Check(kernel(SYS_setns, mount_namespace, CLONE_NEWNS), Step::kPreparedView, 0, failure) ||
      !Check(kernel(SYS_unshare, CLONE_NEWNS), Step::kPreparedView, 1, failure) ||
      !Check(kernel(SYS_chdir, "/"), Step::kPreparedView, 2, failure)) {
    return false;
  }
  for (size_t i = 0; i < ops.own.size(); ++i) {
    if (!Check(Apply(kernel, ops.own[i], tripwires), Step::kViewEntry, ops.own_index[i], failure)) {
      return false;
    }
  }
  return true;
}

bool DetachOldRoot(Kernel& kernel, Failure& failure) {
  // pivot_root(2) has left the working directory where it was mounted: on top of the new root.
  return Check(kernel(SYS_umount2, ".", MNT_DETACH), Step::kPivot, 1, failure) &&
         Check(kernel(SYS_chdir, "/"), Step::kPivot, 2, failure);
}

}  // namespace bulkhead
