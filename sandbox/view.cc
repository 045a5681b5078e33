// SPDX-License-Identifier: Apache-2.0
#include "sandbox/view.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <map>
#include <set>
#include <string_view>

#include "profiles/closed_devices.h"
#include "sandbox/without_links.h"

namespace bulkhead {
namespace {

constexpr unsigned long kReadOnlyBind = MS_RDONLY | MS_NOSUID | MS_NODEV;
constexpr unsigned long kWritableBind = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr unsigned long kOwnTmpfs = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr int kMaxLinks = 40;

std::deque<std::string> Parts(std::string_view path) {
  std::deque<std::string> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    if (end > 0) parts.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

class Planner {
 public:
  Planner(const Profile& profile, const ViewContext& context, Kernel& kernel)
      : profile_(profile), context_(context), kernel_(kernel) {}

  tl::expected<std::vector<ViewOp>, ViewError> Run() {
    Directory("/proc");
    Devices();
    Identity();
    for (const ViewEntry& entry : profile_->view) {
      if (!Entry(entry)) return tl::make_unexpected(error_);
    }
    if (!context_.notify_source.empty()) Notify();
    MountPointsInTripwires();
    // After everything in the root tmpfs is made (a mark would hold the making, too), before a
    // mount of the component's own could be marked instead.
    for (ViewOp& watch : watches_) Push(std::move(watch));
    if (!EmitMounts()) return tl::make_unexpected(error_);
    // Landlock refuses every writing to /proc, and that is on record. Without it the mount does:
    // /proc/self/mem would change code that mprotect(2) may not make writable.
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (profile_->landlock.handled_files == 0) flags |= MS_RDONLY;
    Proc(flags);
    return std::move(ops_);
  }

 private:
  void Push(ViewOp op) { ops_.push_back(std::move(op)); }

  // Mounts are made in the order of their real paths, so that one beneath another comes after it
  // and no mount hides another, whatever links the policy's paths went through. A mount point
  // beneath another mount must be there already; the others are made in the root tmpfs.
  bool EmitMounts() {
    std::vector<const ViewOp*> trees;  // in the order of their paths
    for (auto& [path, op] : mounts_) {
      if (const std::string link = LinkOn(path); !link.empty()) {
        return Fail(op.origin, 0,
                    "is reached over the symbolic link `" + link + "`: name it without");
      }
      // The nearest mount above: the last one that fits, for a longer path sorts behind.
      const ViewOp* above = nullptr;
      for (const ViewOp* tree : trees) {
        if (path.starts_with(tree->path + "/")) above = tree;
      }
      if (above == nullptr) {
        ParentDirectories(path);
      } else if (above->kind == ViewOpKind::kTmpfs) {
        ParentsInTmpfs(above->path, path);
      }
      // In an empty tmpfs there is no file to mount on.
      const bool bare =
          above != nullptr && above->kind == ViewOpKind::kTmpfs && op.kind == ViewOpKind::kBindFile;
      op.may_exist = (above != nullptr && !bare) || made_.contains(path);
      op.in_mount = above != nullptr;
      if (op.kind != ViewOpKind::kBindFile) trees.push_back(&op);
      Push(op);
    }
    return true;
  }

  // The first link that the view has on this path. A tmpfs or a tripwire would be where it leads.
  std::string LinkOn(const std::string& path) const {
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      if (links_.contains(path.substr(0, at))) return path.substr(0, at);
    }
    return links_.contains(path) ? path : std::string();
  }

  // A tripwire's directory is of the root tmpfs, and empty but for what is granted beneath it.
  void MountPointsInTripwires() {
    std::vector<std::string_view> tripwires;
    for (const auto& [real, op] : mounts_) {
      const std::string& path = real;  // a binding can't be captured
      const bool beneath = std::ranges::any_of(tripwires, [&](std::string_view tripwire) {
        return path != tripwire && Covers(tripwire, path);
      });
      if (op.kind == ViewOpKind::kBindDirectory && op.source.empty()) tripwires.push_back(path);
      if (!beneath) continue;
      ParentDirectories(path);
      if (op.kind == ViewOpKind::kBindFile) {
        File(path);
      } else {
        Directory(path);
      }
    }
  }

  // A tmpfs of the component's own is empty: the way to a mount point in it is made there.
  void ParentsInTmpfs(const std::string& root, const std::string& path) {
    for (size_t at = path.find('/', root.size() + 1); at != std::string::npos;
         at = path.find('/', at + 1)) {
      const std::string parent = path.substr(0, at);
      Push({.kind = ViewOpKind::kDirectory,
            .path = parent,
            .mode = 0755,
            .may_exist = true,
            .in_mount = true,
            .origin = path});
    }
  }

  void Directory(const std::string& path, uint32_t mode = 0755) {
    if (!made_.insert(path).second) return;
    Push({.kind = ViewOpKind::kDirectory, .path = path, .mode = mode, .origin = path});
  }

  void File(const std::string& path, uint32_t mode = 0444) {
    if (!made_.insert(path).second) return;
    Push({.kind = ViewOpKind::kFile, .path = path, .mode = mode, .origin = path});
  }

  void ParentDirectories(const std::string& path) {
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      const std::string parent = path.substr(0, at);
      if (!links_.contains(parent)) Directory(parent);
    }
  }

  void Link(const std::string& path, const std::string& target) {
    if (!made_.insert(path).second) return;
    links_.insert(path);
    Push({.kind = ViewOpKind::kSymlink, .path = path, .source = target, .origin = path});
  }

  bool Fail(const std::string& path, int error, std::string reason = {}) {
    error_ = {path, error, std::move(reason)};
    return false;
  }

  long Stat(const std::string& path, struct stat& info) {
    return kernel_(SYS_newfstatat, AT_FDCWD, path.c_str(), &info, AT_SYMLINK_NOFOLLOW);
  }

  // The text of a link that only root can have placed: of one directory, which others may move but
  // not write.
  bool ReadTrusted(const std::string& path, const std::string& parent, const std::string& name,
                   std::string& target) {
    const long directory = OpenWithoutLinks(kernel_, AT_FDCWD, parent.c_str());
    if (directory < 0) return Fail(path, static_cast<int>(-directory));
    struct stat above {
    }, link{};
    std::array<char, 4096> text{};
    long size = kernel_(SYS_fstat, directory, &above);
    if (size >= 0) {
      size = kernel_(SYS_newfstatat, directory, name.c_str(), &link, AT_SYMLINK_NOFOLLOW);
    }
    const bool trusted =
        link.st_uid == 0 && above.st_uid == 0 && (above.st_mode & 022) == 0 && size >= 0;
    if (trusted) size = kernel_(SYS_readlinkat, directory, name.c_str(), text.data(), text.size());
    kernel_(SYS_close, directory);
    if (size < 0) return Fail(path, static_cast<int>(-size));
    if (!trusted) {
      return Fail(path, 0,
                  "`" + (parent == "/" ? "" : parent) + "/" + name +
                      "` is a symbolic link that others than root can set");
    }
    if (size == 0 || size >= static_cast<long>(text.size())) return Fail(path, EIO);
    target.assign(text.data(), static_cast<size_t>(size));
    return true;
  }

  // Walks to `path` on the enclave, making directories and links on the way in the view. Gives the
  // real path (no links) and its type.
  bool Walk(const std::string& path, std::string& real, struct stat& info, long& missing) {
    std::deque<std::string> todo = Parts(path);
    std::string at;
    int links = 0;
    while (!todo.empty()) {
      const std::string part = todo.front();
      todo.pop_front();
      if (part == "..") {
        at.resize(at.empty() ? 0 : at.rfind('/'));
        continue;
      }
      if (part == ".") continue;
      const std::string next = at + "/" + part;
      if (long error = Stat(next, info); error < 0) {
        missing = -error;
        return true;
      }
      if (S_ISLNK(info.st_mode)) {
        std::string target;
        if (!ReadTrusted(path, at.empty() ? "/" : at, part, target)) return false;
        if (++links > kMaxLinks) return Fail(path, ELOOP);
        Link(next, target);
        std::deque<std::string> ahead = Parts(target);
        todo.insert(todo.begin(), ahead.begin(), ahead.end());
        if (target[0] == '/') at.clear();
        continue;
      }
      if (!todo.empty() && !S_ISDIR(info.st_mode)) {
        missing = ENOTDIR;
        return true;
      }
      at = next;
      if (!todo.empty()) Directory(at);
    }
    real = at.empty() ? "/" : at;
    return true;
  }

  // By another name than the policy's: nothing that the compiler has judged by that name.
  bool SecondName(const ViewEntry& entry, const std::string& real) {
    if (real != entry.path && !IsReadOnlyBind(entry.kind)) {
      return Fail(entry.path, 0, "is reached over a symbolic link: name it `" + real + "`");
    }
    const std::string met = MeetsKept(*profile_, context_.kept, entry.path, real);
    return met.empty() || Fail(entry.path, 0, met);
  }

  // The kernel's own name of the device, whatever the node is called.
  bool OpenDevice(const ViewEntry& entry, const struct stat& info) {
    if (!S_ISCHR(info.st_mode)) return Fail(entry.path, 0, "is not a character device");
    const std::string number =
        std::to_string(major(info.st_rdev)) + ":" + std::to_string(minor(info.st_rdev));
    const std::string link = "/sys/dev/char/" + number;
    std::array<char, 4096> text{};
    const long size = kernel_(SYS_readlinkat, AT_FDCWD, link.c_str(), text.data(), text.size());
    if (size <= 0 || size >= static_cast<long>(text.size())) {
      return Fail(entry.path, 0, "is device " + number + ", of which sysfs doesn't tell the name");
    }
    const std::string target(text.data(), static_cast<size_t>(size));
    const std::string name = "/dev/" + target.substr(target.rfind('/') + 1);
    const ClosedDevice* const closed = FindClosedDevice(name);
    return closed == nullptr ||
           Fail(entry.path, 0, "is `" + name + "`: " + std::string(closed->reason));
  }

  bool Bind(const ViewEntry& entry, unsigned long flags) {
    std::string real;
    struct stat info {};
    long missing = 0;
    if (!Walk(entry.path, real, info, missing)) return false;
    if (missing != 0) {
      return (entry.optional && missing == ENOENT) || Fail(entry.path, static_cast<int>(missing));
    }
    if (!SecondName(entry, real)) return false;
    if (entry.kind == ViewKind::kDevice) {
      if (!OpenDevice(entry, info)) return false;
    } else if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
      return Fail(entry.path, 0, "is neither a file nor a directory");
    }
    if (entry.kind == ViewKind::kState &&
        (!S_ISDIR(info.st_mode) || info.st_uid != profile_->uid || (info.st_mode & 022) != 0)) {
      return Fail(entry.path, 0,
                  "must be a directory owned by uid " + std::to_string(profile_->uid) +
                      " and not writable by others");
    }
    const auto known = mounts_.find(real);
    if (known != mounts_.end()) {
      // The same inode by another name; a second, different mount would hide the first.
      return known->second.flags == flags || Fail(entry.path, 0, "`" + real + "` is named twice");
    }
    ViewOp op;
    op.kind = S_ISDIR(info.st_mode) ? ViewOpKind::kBindDirectory : ViewOpKind::kBindFile;
    op.path = op.source = real;
    op.flags = flags;
    op.origin = entry.path;
    mounts_.emplace(real, std::move(op));
    return true;
  }

  bool Tmpfs(const ViewEntry& entry) {
    if (mounts_.contains(entry.path)) return Fail(entry.path, 0, "is named twice");
    const bool shared_mode = entry.kind == ViewKind::kPrivate;
    ViewOp op;
    op.kind = ViewOpKind::kTmpfs;
    op.path = op.origin = entry.path;
    op.options = "size=" + std::to_string(entry.size) + ",mode=" + (shared_mode ? "1777" : "0700") +
                 ",uid=" + std::to_string(profile_->uid) + ",gid=" + std::to_string(profile_->gid);
    op.flags = kOwnTmpfs;
    op.mode = 0755;
    mounts_.emplace(entry.path, std::move(op));
    return true;
  }

  // Made in the root tmpfs, where a mount of the component's own would hide it: what covers it is
  // the component's by the policy.
  bool Tripwire(const ViewEntry& entry) {
    // What it stands for decides, so that whoever lists it is refused by the layer that records;
    // the bundle knows as far as the policy tells, and where nothing is there.
    struct stat info {};
    const long error = kernel_(SYS_newfstatat, AT_FDCWD, entry.path.c_str(), &info, 0);
    if (error < 0 && error != -ENOENT && error != -ENOTDIR && error != -ELOOP && error != -EACCES) {
      return Fail(entry.path, static_cast<int>(-error));
    }
    const bool directory = entry.directory || (error == 0 && S_ISDIR(info.st_mode));
    ParentDirectories(entry.path);
    if (directory) {
      // Where no Landlock keeps it empty, ownership does.
      Directory(entry.path, context_.watch_tripwires ? 0555 : 0777);
    } else {
      File(entry.path, 0666);
    }
    // Modes and a mount of its own that refuse nothing: ownership and a read-only mount would
    // answer before Landlock, and nobody would know.
    ViewOp op;
    op.kind = directory ? ViewOpKind::kBindDirectory : ViewOpKind::kBindFile;
    op.path = op.origin = entry.path;
    op.flags = kOwnTmpfs;
    mounts_.emplace(entry.path, std::move(op));
    if (context_.watch_tripwires) {
      watches_.push_back({.kind = ViewOpKind::kWatch, .path = entry.path, .origin = entry.path});
    }
    return true;
  }

  bool Entry(const ViewEntry& entry) {
    switch (entry.kind) {
      case ViewKind::kReadOnly:
        return Bind(entry, kReadOnlyBind);
      case ViewKind::kData:
        return Bind(entry, kReadOnlyBind | MS_NOEXEC);
      case ViewKind::kWritable:
      case ViewKind::kState:
      case ViewKind::kEdge:
        return Bind(entry, kWritableBind);
      case ViewKind::kDevice:
        return Bind(entry, MS_NOSUID | MS_NOEXEC);
      case ViewKind::kPrivate:
      case ViewKind::kRuntime:
        return Tmpfs(entry);
      case ViewKind::kTripwire:
        return Tripwire(entry);
    }
    return Fail(entry.path, EINVAL);
  }

  void Devices() {
    Directory("/dev");
    for (const char* name :
         {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) {
      made_.insert(name);
      Push({.kind = ViewOpKind::kBindFile,
            .path = name,
            .source = name,
            .options = {},
            .flags = MS_NOSUID | MS_NOEXEC,
            .origin = name});
    }
    Link("/dev/fd", "/proc/self/fd");
    Link("/dev/stdin", "/proc/self/fd/0");
    Link("/dev/stdout", "/proc/self/fd/1");
    Link("/dev/stderr", "/proc/self/fd/2");
    ViewOp shm;
    shm.kind = ViewOpKind::kTmpfs;
    shm.path = shm.origin = "/dev/shm";
    shm.options = "size=16777216,mode=1777";
    shm.flags = kOwnTmpfs;
    shm.mode = 0755;
    mounts_.emplace("/dev/shm", std::move(shm));
  }

  void Identity() {
    const std::string name = profile_->name;
    const std::string uid = std::to_string(profile_->uid);
    const std::string gid = std::to_string(profile_->gid);
    Directory("/etc");
    made_.insert("/etc/passwd");
    made_.insert("/etc/group");
    Push({.kind = ViewOpKind::kFile,
          .path = "/etc/passwd",
          .source = name + ":x:" + uid + ":" + gid + "::/:/\n",
          .mode = 0444,
          .origin = "/etc/passwd"});
    Push({.kind = ViewOpKind::kFile,
          .path = "/etc/group",
          .source = name + ":x:" + gid + ":\n",
          .mode = 0444,
          .origin = "/etc/group"});
  }

  void Proc(unsigned long flags) {
    const char* options = context_.proc_subset ? "subset=pid,hidepid=invisible" : "hidepid=2";
    ViewOp op{.kind = ViewOpKind::kProc, .path = "/proc", .options = options, .flags = flags};
    Push(op);
    if (context_.proc_subset) return;
    op.kind = ViewOpKind::kCoverProc;
    Push(std::move(op));
  }

  void Notify() {
    ViewOp op;
    op.kind = ViewOpKind::kBindDirectory;
    op.path = op.origin = kNotifyDirectory;
    op.source = context_.notify_source;
    op.flags = kWritableBind | MS_RDONLY;
    mounts_.emplace(op.path, std::move(op));
  }

  const Profile& profile_;
  const ViewContext& context_;
  Kernel& kernel_;
  std::vector<ViewOp> ops_;
  std::set<std::string> made_;
  std::set<std::string> links_;
  std::vector<ViewOp> watches_;
  std::map<std::string, ViewOp> mounts_;  // by real path
  ViewError error_;
};

}  // namespace

std::string MeetsKept(const ProfileData& profile, const std::vector<KeptPath>& kept,
                      const std::string& path, const std::string& real) {
  // It has that by its own name as well: by the entry of its view that is nearest above it.
  const ViewEntry* nearest = nullptr;
  for (const ViewEntry& other : profile.view) {
    if (other.path == path || !Covers(other.path, real)) continue;
    if (nearest == nullptr || other.path.size() > nearest->path.size()) nearest = &other;
  }
  if (nearest != nullptr && IsReadOnlyBind(nearest->kind)) return {};
  for (const auto& [one, links_within, linked] : kept) {
    const bool judged = path == real && !linked;
    const bool within = links_within && Covers(one, path) && Covers(one, real);
    if (judged || within || (!Covers(real, one) && !Covers(one, real))) continue;
    const std::string is = path == real ? "" : "is `" + real + "`, which ";
    return is + "meets `" + one + "`, not its own to read";
  }
  return {};
}

tl::expected<std::vector<ViewOp>, ViewError> PlanView(const Profile& profile,
                                                      const ViewContext& context, Kernel& kernel) {
  return Planner(profile, context, kernel).Run();
}

}  // namespace bulkhead
