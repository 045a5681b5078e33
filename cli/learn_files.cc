// SPDX-License-Identifier: Apache-2.0
#include "cli/learn_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "engine/fd.h"
#include "policy/text.h"
#include "profiles/profile.h"

namespace bulkhead {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMany = 8;  // files in a directory that are granted as the directory
constexpr size_t kMaxCounted = 20000;
constexpr int kMaxDepth = 40;
constexpr const char* kOfTheRuntime[] = {"/dev", "/proc", "/sys", "/run/bulkhead",
                                         "/var/log/bulkhead"};
constexpr size_t kMaxFirstLine = 256;  // bytes; the kernel reads as many (BINPRM_BUF_SIZE)
constexpr uint64_t kFewEntries = 16;   // a directory that is only looked at may be granted

std::string Parent(const std::string& path) {
  return path.substr(0, std::max<size_t>(path.rfind('/'), 1));
}

bool BeneathAny(const std::string& path, const std::vector<std::string>& directories) {
  return std::ranges::any_of(directories, [&](const auto& item) { return Covers(item, path); });
}

size_t Depth(const std::string& path) {
  return path == "/" ? 0 : static_cast<size_t>(std::ranges::count(path, '/'));
}

size_t FilesBeneath(const std::string& directory) {
  std::error_code error;
  size_t count = 0;
  size_t entries = 0;  // its user made as many as they like, of any type
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(directory, options, error), end; it != end && !error;
       it.increment(error)) {
    count += it->is_regular_file(error) ? 1 : 0;
    if (++entries >= kMaxCounted) break;
  }
  return count;
}

bool IsThere(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool HasFewEntries(const std::string& directory) {
  std::error_code error;
  uint64_t entries = 0;
  for (fs::directory_iterator it(directory, error), end; it != end && !error; it.increment(error)) {
    if (++entries > kFewEntries) return false;
  }
  return !error;
}

// Owner and mode, as the component's only group has the number of its user.
bool MayWrite(const std::string& path, uint32_t uid) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return false;
  const unsigned shift = info.st_uid == uid ? 6 : info.st_gid == uid ? 3 : 0;
  return ((info.st_mode >> shift) & 2) != 0;
}

// An access list: its mask stands where the mode of the group does (acl(5)), and whom it names is
// not looked at.
bool NamesWriters(const std::string& path, const struct stat& info) {
  return (info.st_mode & S_IWGRP) != 0 &&
         getxattr(path.c_str(), "system.posix_acl_access", nullptr, 0) > 0;
}

bool Owns(const std::string& path, uint32_t uid) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == uid &&
         (info.st_mode & 022) == 0;
}

// File systems whose files are the kernel's word and not anybody's program.
bool IsOfTheKernel(int fd) {
  struct statfs info {};
  constexpr long kTypes[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, DEBUGFS_MAGIC};
  return fstatfs(fd, &info) != 0 ||
         std::ranges::find(kTypes, static_cast<long>(info.f_type)) != std::end(kTypes);
}

// The beginning of a file, read where it is one: what stands there now is its user's to choose, and
// to have a lease on, which an opening would wait for.
std::string BeginningOf(const std::string& path) {
  const Fd place(open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info {};
  if (!place || fstat(place.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  if (IsOfTheKernel(place.get())) return {};
  const Fd file(open(fmt::format("/proc/self/fd/{}", place.get()).c_str(),
                     O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  std::string text(kMaxFirstLine, '\0');
  const ssize_t size = file ? read(file.get(), text.data(), text.size()) : 0;
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return text;
}

// The program that a script names in its first line, as Linux reads that (fs/binfmt_script.c).
std::optional<std::string> InterpreterOf(const std::string& path) {
  const std::string text = BeginningOf(path);
  if (!text.starts_with("#!")) return std::nullopt;
  const size_t from = text.find_first_not_of(" \t", 2);
  if (from == std::string::npos) return std::nullopt;
  const size_t end = text.find_first_of(std::string_view(" \t\n\0", 4), from);
  if (end == std::string::npos && text.size() == kMaxFirstLine) return std::nullopt;  // cut
  const std::string program = text.substr(from, end - from);
  return program.starts_with('/') ? std::optional(program) : std::nullopt;
}

// Whether the user may write the file, or put another one in its place.
bool MayChange(const std::string& path, uint32_t uid) {
  std::error_code error;
  fs::path real = fs::canonical(path, error);
  if (error) return true;
  for (; real.has_relative_path(); real = real.parent_path()) {
    struct stat info {};
    if (stat(real.c_str(), &info) != 0 || info.st_uid == uid) return true;
    // In a directory with the sticky bit nobody exchanges what is another's.
    const bool sticky = S_ISDIR(info.st_mode) && (info.st_mode & S_ISVTX) != 0;
    if (!sticky && (MayWrite(real.string(), uid) || NamesWriters(real.string(), info))) return true;
  }
  return false;
}

// A hard link: by which of them it is written is not seen.
bool HasOtherNames(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink > 1;
}

bool IsSameFile(const std::string& one, const std::string& other) {
  struct stat a {};
  struct stat b {};
  return stat(one.c_str(), &a) == 0 && stat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

bool IsProgram(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 0111) != 0;
}

class Learner {
 public:
  Learner(const std::map<std::string, SeenFile>& files, const FilesContext& context)
      : files_(files), context_(context) {}

  LearntFiles Learn() {
    Grant(Verb::kExecute, context_.program, {});
    for (const auto& [path, file] : files_) {
      if (!CanBeWritten(path)) Note(Quoted(path), "its name can't stand in a policy");
    }
    // What is made decides which directories are the component's own.
    for (const auto& [path, file] : files_) {
      if (const auto made = file.uses.find("create"); made != file.uses.end() && !IsOwn(path)) {
        Make(path, made->second);
      }
    }
    Interpreter(context_.program);
    for (const auto& [path, file] : files_) {
      if (!IsOwn(path)) Use(path, file);
    }
    Libraries();
    Collapse();
    for (const auto& [path, evidence] : looked_) LookAt(path, evidence);
    DropCovered();
    return std::move(learnt_);
  }

 private:
  // The runtime's, of a statement about sockets, or noted already.
  bool IsOwn(const std::string& path) const {
    if (!CanBeWritten(path)) return true;
    for (const char* own :
         {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/shm",
          "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/etc/passwd", "/etc/group"}) {
      if (Covers(own, path)) return true;
    }
    return path == "/dev" || context_.edges.contains(path) || context_.edges.contains(Parent(path));
  }

  void Note(const std::string& what, const std::string& why) {
    learnt_.notes.push_back(fmt::format("{}: {}", what, why));
  }

  void Grant(Verb verb, const std::string& path, const Evidence& evidence) {
    learnt_.grants[{verb, path}].evidence.Add(evidence);
  }

  // What a script names the kernel executes for it, a program and nothing else.
  void Interpreter(const std::string& path) {
    const auto program = InterpreterOf(path);
    if (!program) return;
    const std::string what =
        fmt::format("the interpreter {} that {} names", Quoted(*program), Quoted(path));
    if (!CanBeWritten(*program)) {
      Note(what, "its name can't stand in a policy");
    } else if (!IsProgram(*program)) {
      Note(what, "it is no program");
    } else if (MayChange(*program, context_.uid) || IsMadeByIt(*program)) {
      Note(what, "its user may change it");
    } else if (MayChange(path, context_.uid)) {
      Note(what, "its user may change the script, which may have named another one when it ran");
    } else if (IsOwn(*program) || IsOfTheRuntime(*program) || IsOfAsset(*program)) {
      Note(what, "programs are not executed from there");
    } else {
      learnt_.grants[{Verb::kExecute, *program}].interprets = path;
    }
  }

  // Beneath a directory in which it makes files, by whatever links either is reached.
  bool IsMadeByIt(const std::string& path) const {
    const std::string& real = RealOf(path);
    return std::ranges::any_of(own_, [&](const std::string& own) {
      std::error_code error;
      return Covers(own, path) || Covers(own, real) ||
             Covers(fs::weakly_canonical(own, error).string(), real);
    });
  }

  // Where a path leads to, as it was seen.
  const std::string& RealOf(const std::string& path) const {
    const auto seen = files_.find(path);
    return seen == files_.end() || seen->second.real.empty() ? path : seen->second.real;
  }
  // What is above an asset gives the asset, too. Links are followed as they were and as they are.
  bool LeadsTooWide(const std::string& path) const {
    std::error_code error;
    const std::string now = fs::weakly_canonical(path, error).string();
    const auto is = [this](const std::string& at) { return IsTooWide(at) || IsAboveAsset(at); };
    return is(path) || is(RealOf(path)) || error || is(now);
  }
  static bool IsOfTheRuntime(const std::string& path) {
    const auto above = [&](const char* own) { return Covers(own, path); };
    return std::ranges::any_of(kOfTheRuntime, above);
  }
  bool IsAboveAsset(const std::string& path) const {
    return std::ranges::any_of(context_.assets,
                               [&](const std::string& asset) { return Covers(path, asset); });
  }
  bool IsOfAsset(const std::string& path) const {
    if (BeneathAny(path, context_.assets) || BeneathAny(RealOf(path), context_.assets)) return true;
    return HasOtherNames(path) && std::ranges::any_of(context_.assets, [&](const auto& asset) {
             return IsSameFile(path, asset);
           });
  }
  // Noted once, whatever was done with it.
  bool OfAsset(const std::string& path) {
    if (!IsOfAsset(path)) return false;
    if (noted_.insert(path).second) {
      Note(Quoted(path), "it is of an asset, which is for a person to give");
    }
    return true;
  }

  // The nearest directory above that it did not make itself.
  std::string Base(const std::string& path) const {
    std::string directory = Parent(path);
    while (directory != "/") {
      const auto seen = files_.find(directory);
      const bool made = seen != files_.end() && seen->second.uses.contains("create") &&
                        !(seen->second.was_there && seen->second.type == 'd');
      if (!made) break;
      directory = Parent(directory);
    }
    return directory;
  }

  void Make(const std::string& path, const Evidence& evidence) {
    if (OfAsset(path)) return;
    const std::string base = Base(path);
    for (const char* scratch : {"/tmp", "/var/tmp"}) {
      if (Covers(scratch, base) || path == scratch) return Own(Verb::kPrivate, scratch, evidence);
    }
    const SeenFile& file = files_.at(path);
    if (file.was_there && file.type == 'd' && IsTooWide(path)) return;  // nothing was made
    if (!MayWrite(base, context_.uid)) {
      return Note(fmt::format("making {}", Quoted(path)), "its directory is not its user's");
    }
    if (LeadsTooWide(base)) {
      return Note(
          fmt::format("making {}", Quoted(path)),
          fmt::format("{} is too much to give away: give it a directory of its own", Quoted(base)));
    }
    if (Covers("/run", base) || Covers("/var/run", base)) {
      return Own(Verb::kRuntime, base, evidence);
    }
    Own(Owns(base, context_.uid) ? Verb::kState : Verb::kCreate, base, evidence);
  }

  void Own(Verb verb, const std::string& directory, const Evidence& evidence) {
    own_.push_back(directory);
    Grant(verb, directory, evidence);
  }

  void Use(const std::string& path, const SeenFile& file) {
    if (OfAsset(path)) return;
    for (const auto& [action, evidence] : file.uses) {
      if (action.ends_with("-not-permitted")) {
        Note(fmt::format("{} of {}", action.substr(0, action.find('-')), Quoted(path)),
             "owner and mode do not permit it to its user");
      }
    }
    if (file.type == 'c' || file.type == 'b') {
      return Note(fmt::format("device {}", Quoted(path)), "devices are for a person to grant");
    }
    if (file.type != 'f' && file.type != 'd') return;
    const auto of = [&](const char* action) {
      const auto found = file.uses.find(action);
      return found == file.uses.end() ? nullptr : &found->second;
    };
    if (const Evidence* evidence = of("execute"); evidence != nullptr && file.type == 'f') {
      Execute(path, file, *evidence);
    }
    if (BeneathAny(path, own_) && !BeneathScratch(path)) return;
    if (BeneathScratch(path) &&
        (file.uses.contains("create") || path == "/tmp" || path == "/var/tmp" || !IsThere(path))) {
      return;
    }
    for (const char* action : {"write", "metadata"}) {
      if (const Evidence* evidence = of(action)) Write(path, file.type, action, *evidence);
    }
    for (const char* action : {"read", "look"}) {
      const Evidence* evidence = of(action);
      if (evidence == nullptr) continue;
      if (file.type == 'f') {
        Grant(Verb::kRead, path, *evidence);
      } else {
        looked_[path].Add(*evidence);
      }
    }
    if (const Evidence* evidence = of("list")) List(path, *evidence);
  }

  void Execute(const std::string& path, const SeenFile& file, const Evidence& evidence) {
    const std::string what = fmt::format("execution of {}", Quoted(path));
    const bool changes = MayChange(path, context_.uid);
    if (file.uses.contains("create") || IsMadeByIt(path)) {
      return Note(what, "it wrote the file itself");
    }
    if (changes && HasOtherNames(path)) {
      return Note(what, "its user may change it, also by another name");
    }
    Grant(Verb::kExecute, path, evidence);
    if (changes) {
      learnt_.grants[{Verb::kExecute, path}].widened = "its user may change what is executed";
    }
    if (file.uses.contains("write")) {
      Note(fmt::format("writing {}", Quoted(path)), "it is executed, too");
    }
    Interpreter(path);
  }

  bool BeneathScratch(const std::string& path) const {
    return Covers("/tmp", path) || Covers("/var/tmp", path);
  }

  void Write(const std::string& path, char type, const std::string& action,
             const Evidence& evidence) {
    if (type == 'f' && MayWrite(path, context_.uid)) return Grant(Verb::kWrite, path, evidence);
    if (action == "metadata") {
      Note(fmt::format("metadata of {}", Quoted(path)), "it is not in a directory of its own");
    }
  }

  void List(const std::string& path, const Evidence& evidence) {
    if (!LeadsTooWide(path)) return Grant(Verb::kRead, path, evidence);
    Note(fmt::format("listing {}", Quoted(path)), "all that is in it is too much to give away");
  }

  bool Covered(const std::string& path) const {
    return std::ranges::any_of(learnt_.grants, [&](const auto& grant) {
      return Covers(grant.first.second, path) || Covers(path, grant.first.second);
    });
  }

  // That a directory is there can only be seen where something in it is granted.
  void LookAt(const std::string& path, const Evidence& evidence) {
    if (Covered(path) || BeneathAny(path, context_.libraries) || path == "/") return;
    if (!LeadsTooWide(path) && HasFewEntries(path)) {
      learnt_.grants[{Verb::kRead, path}] = {evidence, "its files, which were not opened", {}};
      return;
    }
    Note(fmt::format("that {} is there", Quoted(path)), "nothing in it is used");
  }

  void Libraries() {
    const auto collapse = [&](const std::vector<std::string>& paths, Verb verb, const char* set) {
      Evidence all;
      std::erase_if(learnt_.grants, [&](const auto& grant) {
        const auto& [key, value] = grant;
        const auto seen = files_.find(key.second);
        const std::string& real = seen == files_.end() ? key.second : seen->second.real;
        const bool meant = key.first == Verb::kRead || verb == Verb::kExecute;
        if (!meant || !(BeneathAny(key.second, paths) || BeneathAny(real, paths))) return false;
        all.Add(value.evidence);
        return true;
      });
      learnt_.grants[{verb, set}].evidence.Add(all);
    };
    collapse(context_.loader, Verb::kExecute, "@loader");
    collapse(context_.libraries, Verb::kRead, "@libraries");
  }

  // Many files of a directory become the directory, from the deepest on.
  void Collapse() {
    for (size_t depth = kMaxDepth; depth > 1; --depth) {
      std::map<std::string, size_t> used;
      for (const auto& [key, grant] : learnt_.grants) {
        const std::string& path = key.second;
        for (std::string above = Parent(path); key.first == Verb::kRead && Depth(above) >= depth;
             above = Parent(above)) {
          if (Depth(above) == depth) ++used[above];
        }
      }
      for (const auto& [directory, count] : used) {
        if (count >= kMany && !LeadsTooWide(directory)) CollapseInto(directory);
      }
    }
  }

  void CollapseInto(const std::string& directory) {
    Evidence all;
    std::erase_if(learnt_.grants, [&](const auto& grant) {
      const auto& [key, value] = grant;
      if (key.first != Verb::kRead || !Covers(directory, key.second)) return false;
      all.Add(value.evidence);
      return true;
    });
    const auto opened = std::ranges::count_if(files_, [&](const auto& item) {
      return item.second.type == 'f' && Covers(directory, item.first);
    });
    learnt_.grants[{Verb::kRead, directory}] = {
        all, fmt::format("{} of {} files beneath were used", opened, FilesBeneath(directory)), {}};
  }

  // A file that is granted by its directory needs no statement of its own.
  void DropCovered() {
    const auto all = learnt_.grants;
    std::erase_if(learnt_.grants, [&](const auto& grant) {
      const auto& key = grant.first;
      if (key.first != Verb::kRead && key.first != Verb::kWrite) return false;
      return std::ranges::any_of(all, [&](const auto& other) {
        const auto& [verb, directory] = other.first;
        if (other.first == key || !Covers(directory, key.second)) return false;
        if (verb == Verb::kPrivate) return false;
        if (directory == key.second) return verb != Verb::kRead;
        return verb == Verb::kRead ? key.first == Verb::kRead : verb != Verb::kExecute;
      });
    });
  }

  const std::map<std::string, SeenFile>& files_;
  const FilesContext& context_;
  LearntFiles learnt_;
  std::vector<std::string> own_;  // directories in which it makes files
  std::map<std::string, Evidence> looked_;
  std::set<std::string> noted_;  // of assets
};

}  // namespace

bool IsOwnDirectory(const std::string& directory, uint32_t uid) {
  std::error_code error;
  const std::string now = fs::canonical(directory, error).string();
  return !error && Owns(directory, uid) && !IsTooWide(now);
}

bool CanBeWritten(const std::string& path) { return IsNormalPath(path) && Escaped(path) == path; }

bool IsTooWide(const std::string& directory) {
  const size_t depth = Depth(directory);
  if (depth < 2) return true;
  for (const char* shared : {"/usr", "/var", "/home", "/lib", "/lib64", "/bin", "/sbin"}) {
    if (depth == 2 && Covers(shared, directory)) return true;
  }
  if (depth == 3 && Covers("/usr/local", directory)) return true;
  return directory == "/usr/lib/x86_64-linux-gnu" || directory == "/usr/lib/aarch64-linux-gnu";
}

LearntFiles LearnFiles(const std::map<std::string, SeenFile>& files, const FilesContext& context) {
  return Learner(files, context).Learn();
}

}  // namespace bulkhead
