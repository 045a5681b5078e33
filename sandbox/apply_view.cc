// SPDX-License-Identifier: Apache-2.0
// ApplyView: runs in the reaper between clone and exec, so nothing here allocates.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
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

// Beneath a mount of the view its component, or who shares the directory with it, may give a path
// another meaning at any time: by a link that root has left there, or another's mount point. So
// what is there is opened once, without links, and named by its descriptor. The view's own root,
// `root` in all of this, nobody changes but this file, and no path leads over a link of it; the
// working directory is /proc/self/fd of the machine meanwhile, as a view has no /proc yet.

// Relative to the view's root.
const char* Inside(const std::string& path) { return path.c_str() + 1; }

// For mount(2), from the directory of descriptors: a descriptor, and what is beneath it.
class Name {
 public:
  explicit Name(long fd, const char* beneath = "") {
    const size_t size = std::strlen(beneath);
    char* at = text_.data();
    // A name that is too long is none at all.
    if (size < PATH_MAX) at = std::to_chars(at, at + kNumber, fd).ptr;
    if (size > 0 && size < PATH_MAX) {
      *at++ = '/';
      std::memcpy(at, beneath, size);
      at += size;
    }
    *at = '\0';
  }
  const char* text() const { return text_.data(); }

 private:
  static constexpr size_t kNumber = 20;
  std::array<char, kNumber + 1 + PATH_MAX> text_;
};

// `result`, or that it could not be closed.
long CloseAfter(Kernel& kernel, long result, long fd) {
  const long closed = kernel(SYS_close, fd);
  return result < 0 || closed >= 0 ? result : closed;
}

// Calls `make` with a directory and a name in it, which are what the operation's path leads to.
template <typename Make>
long InParent(Kernel& kernel, long root, const ViewOp& op, Make make) {
  const size_t slash = op.path.rfind('/');
  std::array<char, PATH_MAX> parent{};
  if (slash >= parent.size()) return -ENAMETOOLONG;
  if (slash > 0) std::memcpy(parent.data(), Inside(op.path), slash - 1);
  const long directory = OpenWithoutLinks(kernel, root, parent.data());
  if (directory < 0) return directory;
  return CloseAfter(kernel, make(directory, op.path.c_str() + slash + 1), directory);
}

long MakeDirectory(Kernel& kernel, long root, const ViewOp& op) {
  const uint32_t mode = op.mode ? op.mode : 0755U;
  const long result = InParent(kernel, root, op, [&](long directory, const char* name) -> long {
    return kernel(SYS_mkdirat, directory, name, mode);
  });
  return result == -EEXIST && op.may_exist ? 0 : result;
}

long MakeFile(Kernel& kernel, long root, const ViewOp& op) {
  const long fd = InParent(kernel, root, op, [&](long directory, const char* name) -> long {
    return kernel(SYS_openat, directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  op.mode ? op.mode : 0444U);
  });
  if (fd < 0) return fd == -EEXIST && op.may_exist ? 0 : fd;
  long result = 0;
  if (!op.source.empty() && op.kind == ViewOpKind::kFile) {
    const long written = kernel(SYS_write, fd, op.source.data(), op.source.size());
    if (written != static_cast<long>(op.source.size())) result = written < 0 ? written : -EIO;
  }
  return CloseAfter(kernel, result, fd);
}

// What a mount is put on: where no link leads to, and beneath a mount only the descriptor is that.
class Target {
 public:
  Target(Kernel& kernel, long root, const ViewOp& op)
      : kernel_(kernel),
        fd_(OpenWithoutLinks(kernel, root, Inside(op.path))),
        name_(op.in_mount ? Name(fd_) : Name(root, Inside(op.path))) {}
  long error() const { return fd_ < 0 ? fd_ : 0; }
  const char* name() const { return name_.text(); }
  // Once, unless it is an error.
  long CloseAfter(long result) const { return bulkhead::CloseAfter(kernel_, result, fd_); }

 private:
  Kernel& kernel_;
  long fd_;
  Name name_;
};

// Each view has these from its first operations on; /proc is mounted by the last.
constexpr const char* kPlaceOfDirectory = "proc";
constexpr const char* kPlaceOfFile = "dev/full";

// A bind takes its flags only from a second call, which finds it by a path. Where that path might
// lead elsewhere by then it is made in a place that is the view's own, and moved when it has them.
long BindOn(Kernel& kernel, long root, const ViewOp& op, const char* source, const char* target) {
  const bool directory = op.kind == ViewOpKind::kBindDirectory;
  const Name own(root, directory ? kPlaceOfDirectory : kPlaceOfFile);
  const char* const place = op.in_mount ? own.text() : target;
  long result = kernel(SYS_mount, source, place, nullptr, MS_BIND, nullptr);
  if (result >= 0) {
    result = kernel(SYS_mount, nullptr, place, nullptr, MS_BIND | MS_REMOUNT | op.flags, nullptr);
  }
  if (result >= 0 && op.in_mount) {
    result = kernel(SYS_mount, place, target, nullptr, MS_MOVE, nullptr);
  }
  return result;
}

long Bind(Kernel& kernel, long root, const ViewOp& op) {
  const bool directory = op.kind == ViewOpKind::kBindDirectory;
  long result = 0;
  if (!op.may_exist || directory) {
    result = directory ? MakeDirectory(kernel, root, op) : MakeFile(kernel, root, op);
  }
  // A directory that only a read-only bind could carry is there already or can't be made.
  if (result == -EROFS && op.may_exist) result = 0;
  if (result < 0) return result;
  const Target target(kernel, root, op);
  if (target.error() < 0) return target.error();
  // Without a source it is the path itself, made earlier, that gets a mount of its own.
  if (op.source.empty()) {
    return target.CloseAfter(BindOn(kernel, root, op, target.name(), target.name()));
  }
  const long source = OpenWithoutLinks(kernel, AT_FDCWD, op.source.c_str());
  if (source < 0) return target.CloseAfter(source);
  result = BindOn(kernel, root, op, Name(source).text(), target.name());
  return target.CloseAfter(CloseAfter(kernel, result, source));
}

long Tmpfs(Kernel& kernel, long root, const ViewOp& op) {
  const long made = MakeDirectory(kernel, root, op);
  if (made < 0 && !(made == -EROFS && op.may_exist)) return made;
  const Target target(kernel, root, op);
  if (target.error() < 0) return target.error();
  return target.CloseAfter(
      kernel(SYS_mount, "tmpfs", target.name(), "tmpfs", op.flags, op.options.c_str()));
}

// Made in the view's /dev, where no policy names a file, and gone when /proc is covered.
constexpr const char* kCover = "dev/cover";

// Nothing stands at `path` any more but a file that nobody may open, or an empty directory.
long Cover(Kernel& kernel, const char* cover, const char* path, bool directory) {
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (directory) {
    return kernel(SYS_mount, "tmpfs", path, "tmpfs", kFlags, "size=4096,nr_inodes=1,mode=0555");
  }
  const long result = kernel(SYS_mount, cover, path, nullptr, MS_BIND, nullptr);
  if (result < 0) return result;
  return kernel(SYS_mount, nullptr, path, nullptr, MS_BIND | MS_REMOUNT | kFlags, nullptr);
}

// Covers what `path`, the new /proc, holds beside processes. A link is left: it leads to a path of
// the view.
long CoverEntries(Kernel& kernel, const char* cover, const char* path, long directory) {
  const size_t prefix = std::strlen(path);
  std::array<char, 512> full;
  return EachEntry(kernel, directory, [&](const char* name, uint8_t type) -> long {
    const bool self = std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
    // Of a process that ends at this moment the type is not told (proc_fill_cache, fs/proc/base.c).
    if (self || type == DT_LNK || NumberOf(name) >= 0) return 0;
    const size_t size = std::strlen(name) + 1;
    if (prefix + 1 + size > full.size()) return -ENAMETOOLONG;
    std::memcpy(full.data(), path, prefix);
    full[prefix] = '/';
    std::memcpy(full.data() + prefix + 1, name, size);
    return Cover(kernel, cover, full.data(), type == DT_DIR);
  });
}

// Before Linux 5.8 /proc comes with all that the kernel shows of itself. The mount's options, which
// 4.8 and later kernels pass over where the namespace has a /proc already, are given once more.
long CoverProc(Kernel& kernel, long root, const ViewOp& op) {
  const Name path(root, Inside(op.path));
  long result =
      kernel(SYS_mount, nullptr, path.text(), nullptr, MS_REMOUNT | op.flags, op.options.c_str());
  if (result < 0) return result;
  const long cover =
      kernel(SYS_openat, root, kCover, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0U);
  if (cover < 0) return cover;
  if (result = kernel(SYS_close, cover); result < 0) return result;
  const long directory =
      kernel(SYS_openat, root, Inside(op.path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return directory;
  const Name made(root, kCover);
  result = CoverEntries(kernel, made.text(), path.text(), directory);
  if (result = CloseAfter(kernel, result, directory); result < 0) return result;
  return kernel(SYS_unlinkat, root, kCover, 0);
}

long Apply(Kernel& kernel, long root, const ViewOp& op, int tripwires) {
  switch (op.kind) {
    case ViewOpKind::kDirectory:
      return MakeDirectory(kernel, root, op);
    case ViewOpKind::kSymlink:
      return InParent(kernel, root, op, [&](long directory, const char* name) -> long {
        return kernel(SYS_symlinkat, op.source.c_str(), directory, name);
      });
    case ViewOpKind::kFile:
      return MakeFile(kernel, root, op);
    case ViewOpKind::kBindDirectory:
    case ViewOpKind::kBindFile:
      return Bind(kernel, root, op);
    case ViewOpKind::kTmpfs:
      return Tmpfs(kernel, root, op);
    case ViewOpKind::kProc:
      return kernel(SYS_mount, "proc", Name(root, Inside(op.path)).text(), "proc", op.flags,
                    op.options.c_str());
    case ViewOpKind::kCoverProc:
      return CoverProc(kernel, root, op);
    case ViewOpKind::kWatch:
      return kernel(SYS_fanotify_mark, tripwires, FAN_MARK_ADD,
                    FAN_OPEN_PERM | FAN_ONDIR | FAN_EVENT_ON_CHILD, root, Inside(op.path));
  }
  return -EINVAL;
}

bool Check(long result, Step step, uint32_t index, Failure& failure) {
  if (result >= 0) return true;
  failure = {step, index, static_cast<int32_t>(-result)};
  return false;
}

// From the view's root as the working directory, and back to it.
bool ApplyAll(Kernel& kernel, const std::vector<ViewOp>& ops, long descriptors, int tripwires,
              Failure& failure) {
  const long root = kernel(SYS_openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (!Check(root, Step::kViewRoot, 2, failure) ||
      !Check(kernel(SYS_fchdir, descriptors), Step::kViewRoot, 5, failure)) {
    return false;
  }
  for (size_t i = 0; i < ops.size(); ++i) {
    const auto index = static_cast<uint32_t>(i);
    if (!Check(Apply(kernel, root, ops[i], tripwires), Step::kViewEntry, index, failure)) {
      return false;
    }
  }
  return Check(kernel(SYS_fchdir, root), Step::kViewRoot, 6, failure) &&
         Check(CloseAfter(kernel, kernel(SYS_close, root), descriptors), Step::kViewRoot, 3,
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
  if (!ApplyAll(kernel, ops, descriptors, tripwires, failure)) return false;
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
  if (ApplyAll(kernel, ops.own, descriptors, tripwires, failure)) return true;
  if (failure.step == Step::kViewEntry) failure.index = ops.own_index[failure.index];
  return false;
}

bool DetachOldRoot(Kernel& kernel, Failure& failure) {
  // pivot_root(2) has left the working directory where it was mounted: on top of the new root.
  return Check(kernel(SYS_umount2, ".", MNT_DETACH), Step::kPivot, 1, failure) &&
         Check(kernel(SYS_chdir, "/"), Step::kPivot, 2, failure);
}

}  // namespace bulkhead
