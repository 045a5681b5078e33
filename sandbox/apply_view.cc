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
#include <charconv>
#include <climits>
#include <cstring>

#include "sandbox/directory.h"
#include "sandbox/view.h"
#include "sandbox/without_links.h"

namespace bulkhead {
namespace {

// Relative to the view's root, which is the working directory while the view is put together.
const char* Inside(const std::string& path) { return path.c_str() + 1; }

// Beneath what a component writes it may turn each part of a path into a link that root has left
// there, at any time. So such a path is opened once, without links, and named by its descriptor.
struct Ground {
  long root = -1;         // the view's, as the working directory
  long descriptors = -1;  // /proc/self/fd, of the machine: a view has no /proc yet
};

// The name of a descriptor in that directory.
class Number {
 public:
  explicit Number(long fd) { std::to_chars(text_.data(), text_.data() + text_.size() - 1, fd); }
  const char* text() const { return text_.data(); }

 private:
  std::array<char, 21> text_{};
};

// The first of these that is an error, or the last.
long Both(long first, long second) { return first < 0 ? first : second; }

long CloseAfter(Kernel& kernel, long result, long fd) {
  return Both(result, kernel(SYS_close, fd));
}

long MakeDirectory(Kernel& kernel, const Ground& ground, const ViewOp& op) {
  const uint32_t mode = op.mode ? op.mode : 0755U;
  // Of the view's own tmpfs; what leads there may still be a link that the view has from root.
  if (!op.may_exist) return kernel(SYS_mkdirat, AT_FDCWD, Inside(op.path), mode);
  const size_t slash = op.path.rfind('/');
  std::array<char, PATH_MAX> parent{};
  if (slash >= parent.size()) return -ENAMETOOLONG;
  if (slash > 0) std::memcpy(parent.data(), Inside(op.path), slash - 1);
  const long directory = OpenWithoutLinks(kernel, ground.root, parent.data());
  if (directory < 0) return directory;
  const long result = kernel(SYS_mkdirat, directory, op.path.c_str() + slash + 1, mode);
  return CloseAfter(kernel, result == -EEXIST ? 0 : result, directory);
}

// Of descriptors; `source` is -1 where there is none.
long Mount(Kernel& kernel, const Ground& ground, long source, long target, const char* type,
           unsigned long flags, const char* options) {
  if (const long moved = kernel(SYS_fchdir, ground.descriptors); moved < 0) return moved;
  const Number from(source);
  const Number to(target);
  const long result =
      kernel(SYS_mount, source < 0 ? type : from.text(), to.text(), type, flags, options);
  return Both(result, kernel(SYS_fchdir, ground.root));
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

// A bind takes its flags only from a second, remounting call, for which its path is opened again:
// the inode there must be the one that was bound. That it is the same mount is not known.
long BindOn(Kernel& kernel, const Ground& ground, const ViewOp& op, long source, long target) {
  long result = Mount(kernel, ground, source, target, nullptr, MS_BIND, nullptr);
  if (result < 0) return result;
  const long mounted = OpenWithoutLinks(kernel, ground.root, Inside(op.path));
  if (mounted < 0) return mounted;
  struct stat bound {
  }, there{};
  result = Both(kernel(SYS_fstat, source, &bound), kernel(SYS_fstat, mounted, &there));
  if (result >= 0 && (bound.st_dev != there.st_dev || bound.st_ino != there.st_ino)) {
    result = -ESTALE;
  }
  if (result >= 0) {
    result = Mount(kernel, ground, -1, mounted, nullptr, MS_BIND | MS_REMOUNT | op.flags, nullptr);
  }
  return CloseAfter(kernel, result, mounted);
}

long Bind(Kernel& kernel, const Ground& ground, const ViewOp& op) {
  const bool directory = op.kind == ViewOpKind::kBindDirectory;
  long result = 0;
  if (!op.may_exist || directory) {
    result = directory ? MakeDirectory(kernel, ground, op) : MakeFile(kernel, op);
  }
  // A directory that only a read-only bind could carry is there already or can't be made.
  if (result == -EROFS && op.may_exist) result = 0;
  if (result < 0) return result;
  const long target = OpenWithoutLinks(kernel, ground.root, Inside(op.path));
  if (target < 0) return target;
  // Without a source it is the path itself, made earlier, that gets a mount of its own.
  if (op.source.empty()) {
    return CloseAfter(kernel, BindOn(kernel, ground, op, target, target), target);
  }
  const long source = OpenWithoutLinks(kernel, AT_FDCWD, op.source.c_str());
  if (source < 0) return source;
  result = CloseAfter(kernel, BindOn(kernel, ground, op, source, target), source);
  return CloseAfter(kernel, result, target);
}

long Tmpfs(Kernel& kernel, const Ground& ground, const ViewOp& op) {
  const long made = MakeDirectory(kernel, ground, op);
  if (made < 0 && !(made == -EROFS && op.may_exist)) return made;
  const long target = OpenWithoutLinks(kernel, ground.root, Inside(op.path));
  if (target < 0) return target;
  const long result = Mount(kernel, ground, -1, target, "tmpfs", op.flags, op.options.c_str());
  return CloseAfter(kernel, result, target);
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

long Apply(Kernel& kernel, const Ground& ground, const ViewOp& op, int tripwires) {
  switch (op.kind) {
    case ViewOpKind::kDirectory:
      return MakeDirectory(kernel, ground, op);
    case ViewOpKind::kSymlink:
      return kernel(SYS_symlinkat, op.source.c_str(), AT_FDCWD, Inside(op.path));
    case ViewOpKind::kFile:
      return MakeFile(kernel, op);
    case ViewOpKind::kBindDirectory:
    case ViewOpKind::kBindFile:
      return Bind(kernel, ground, op);
    case ViewOpKind::kTmpfs:
      return Tmpfs(kernel, ground, op);
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

// Where the working directory is the view's root.
bool ApplyAll(Kernel& kernel, const std::vector<ViewOp>& ops, long descriptors, int tripwires,
              const std::vector<uint32_t>* indexes, Failure& failure) {
  const long root = kernel(SYS_openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (!Check(root, Step::kViewRoot, 2, failure)) return false;
  const Ground ground{root, descriptors};
  for (size_t i = 0; i < ops.size(); ++i) {
    const uint32_t index = indexes != nullptr ? (*indexes)[i] : static_cast<uint32_t>(i);
    if (!Check(Apply(kernel, ground, ops[i], tripwires), Step::kViewEntry, index, failure)) {
      return false;
    }
  }
  return Check(Both(kernel(SYS_close, root), kernel(SYS_close, descriptors)), Step::kViewRoot, 3,
               failure);
}

// Before another view's namespace is entered, which has no /proc yet.
long OpenDescriptors(Kernel& kernel) {
  return kernel(SYS_openat, AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace

bool ApplyView(Kernel& kernel, const std::string& staging, const std::vector<ViewOp>& ops,
               int tripwires, Failure& failure) {
  constexpr unsigned long kRootFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  // Modes of what is made here are stated, whatever umask was inherited.
  kernel(SYS_umask, 0);
  const long descriptors = OpenDescriptors(kernel);
  if (!Check(descriptors, Step::kViewRoot, 4, failure) ||
      !Check(kernel(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
             Step::kPrivateMounts, 0, failure) ||
      !Check(kernel(SYS_mount, "tmpfs", staging.c_str(), "tmpfs", kRootFlags,
                    "size=1048576,mode=0755"),
             Step::kViewRoot, 0, failure) ||
      !Check(kernel(SYS_chdir, staging.c_str()), Step::kViewRoot, 1, failure)) {
    return false;
  }
  if (!ApplyAll(kernel, ops, descriptors, tripwires, nullptr, failure)) return false;
  return Check(kernel(SYS_mount, nullptr, ".", nullptr,
                      MS_REMOUNT | MS_BIND | MS_RDONLY | kRootFlags, nullptr),
               Step::kViewSeal, 0, failure) &&
         Check(kernel(SYS_pivot_root, ".", "."), Step::kPivot, 0, failure);
}

bool CompleteView(Kernel& kernel, int mount_namespace, const SplitOps& ops, int tripwires,
                  Failure& failure) {
  kernel(SYS_umask, 0);
  const long descriptors = OpenDescriptors(kernel);
  // Both make the namespace's root the root and the working directory.
  if (!Check(descriptors, Step::kPreparedView, 3, failure) ||
      !Check(kernel(SYS_setns, mount_namespace, CLONE_NEWNS), Step::kPreparedView, 0, failure) ||
      !Check(kernel(SYS_unshare, CLONE_NEWNS), Step::kPreparedView, 1, failure) ||
      !Check(kernel(SYS_chdir, "/"), Step::kPreparedView, 2, failure)) {
    return false;
  }
  return ApplyAll(kernel, ops.own, descriptors, tripwires, &ops.own_index, failure);
}

bool DetachOldRoot(Kernel& kernel, Failure& failure) {
  // pivot_root(2) has left the working directory where it was mounted: on top of the new root.
  return Check(kernel(SYS_umount2, ".", MNT_DETACH), Step::kPivot, 1, failure) &&
         Check(kernel(SYS_chdir, "/"), Step::kPivot, 2, failure);
}

}  // namespace bulkhead
