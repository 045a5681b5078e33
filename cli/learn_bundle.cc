// SPDX-License-Identifier: Apache-2.0
#include "cli/learn_bundle.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace bulkhead {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxEntries = 3000;
constexpr uint32_t kProcesses = 1024;
// Code runs from the others, which are read-only; what is beneath these is written and not run.
constexpr std::string_view kWritten[] = {"home", "media", "mnt", "root",
                                         "run",  "srv",   "tmp", "var"};
// The runtime makes these for each component.
constexpr std::string_view kOwn[] = {"dev", "proc", "sys", "lost+found"};
constexpr std::string_view kOwnPaths[] = {"/etc/passwd", "/etc/group", "/run/bulkhead",
                                          "/run/notify"};
// Shown part by part, as something in them is not.
constexpr std::string_view kParted[] = {"etc", "run"};

template <size_t N>
bool IsIn(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

std::string FirstPart(std::string_view path) {
  path.remove_prefix(1);
  return std::string(path.substr(0, path.find('/')));
}

// Spaces and such stand as \040 there.
std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const bool escape = text[i] == '\\' && i + 3 < text.size() &&
                        std::from_chars(&text[i + 1], &text[i + 4], value, 8).ptr == &text[i + 4];
    out += escape ? static_cast<char>(value) : text[i];
    if (escape) i += 3;
  }
  return out;
}

class Outer {
 public:
  explicit Outer(const std::vector<ViewEntry>& kept) {
    for (const ViewEntry& entry : kept) entries_.emplace(entry.path, entry);
  }

  std::vector<ViewEntry> Make() {
    for (const std::string& path : Children("/")) {
      const std::string name = FirstPart(path);
      if (IsIn(kOwn, name)) continue;
      if (!IsIn(kParted, name)) {
        Add(path);
        continue;
      }
      for (const std::string& part : Children(path)) Add(part);
    }
    AddMounts();
    std::vector<ViewEntry> view;
    for (auto& [path, entry] : entries_) view.push_back(std::move(entry));
    return view;
  }

 private:
  static std::vector<std::string> Children(const std::string& directory) {
    std::vector<std::string> paths;
    std::error_code error;
    for (const auto& item : fs::directory_iterator(directory, error)) {
      paths.push_back(item.path().string());
    }
    return paths;
  }

  // Links that others could change, or that lead to what isn't shown, are left out.
  static bool IsShown(const std::string& path) {
    struct stat info {};
    if (IsIn(kOwnPaths, path) || path.starts_with("/run/bulkhead") ||
        lstat(path.c_str(), &info) != 0)
      return false;
    if (!S_ISLNK(info.st_mode)) return S_ISDIR(info.st_mode) || S_ISREG(info.st_mode);
    std::error_code error;
    const std::string real = fs::canonical(path, error).string();
    if (error || info.st_uid != 0 || stat(path.c_str(), &info) != 0) return false;
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) return false;
    return real.starts_with("/usr/") || real.starts_with("/etc/");
  }

  // By its file system: no bind of it is more.
  static bool IsReadOnly(const std::string& path) {
    struct statvfs info {};
    return statvfs(path.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) != 0;
  }

  void Add(const std::string& path) {
    if (!IsNormalPath(path) || !IsShown(path) || entries_.size() >= kMaxEntries) return;
    ViewEntry entry;
    entry.path = path;
    const bool written = IsIn(kWritten, FirstPart(path)) && !IsReadOnly(path);
    entry.kind = written ? ViewKind::kWritable : ViewKind::kReadOnly;
    entry.optional = true;
    entry.rule = "learn";
    entries_.emplace(path, std::move(entry));
  }

  // Binds are not recursive.
  void AddMounts() {
    std::ifstream file("/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string word;
      for (int i = 0; i < 5; ++i) words >> word;
      const std::string path = Unescape(word);
      if (path == "/" || !IsNormalPath(path) || IsIn(kOwn, FirstPart(path))) continue;
      if (!IsIn(kParted, path.substr(1))) Add(path);
    }
  }

  std::map<std::string, ViewEntry> entries_;
};

void Change(ProfileData& profile, const Filter& filter) {
  profile.on_violation = OnViolation::kObserve;
  profile.filter = filter;
  profile.startup.clear();
  profile.pin.reset();
  profile.network = Network::kShared;
  profile.landlock.handled_files = 0;
  profile.landlock.handled_net = 0;
  profile.landlock.rules.clear();
  profile.landlock.ports.clear();
  profile.limits.processes = std::max(profile.limits.processes, kProcesses);
  std::vector<ViewEntry> kept;
  for (const ViewEntry& entry : profile.view) {
    if (entry.kind == ViewKind::kEdge || entry.kind == ViewKind::kRuntime) kept.push_back(entry);
  }
  profile.view = Outer(kept).Make();
}

}  // namespace

tl::expected<Bundle, std::string> ObservedBundle(const Bundle& bundle, std::string_view component,
                                                 const Filter& filter) {
  BundleData data = *bundle;
  const auto found = std::ranges::find(data.components, component, &ProfileData::name);
  if (found == data.components.end()) return tl::make_unexpected("no such component");
  Change(*found, filter);
  return Bundle::Make(std::move(data));
}

}  // namespace bulkhead
