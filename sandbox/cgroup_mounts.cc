// SPDX-License-Identifier: Apache-2.0
#include "sandbox/cgroup_mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <vector>

namespace bulkhead {
namespace {

constexpr size_t kMaxFile = 1U << 20;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    if (end != 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

bool Contains(std::string_view list, char separator, std::string_view word) {
  for (const std::string_view part : Split(list, separator)) {
    if (part == word) return true;
  }
  return false;
}

// Mount points in mountinfo carry space, tab, newline and backslash as three octal digits.
std::string DecodeOctal(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && text.size() - i >= 4) {
      const int code = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      out += static_cast<char>(code);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct CgroupMount {
  std::string root;  // which cgroup the mount shows
  std::string point;
  uint32_t version = 0;
  std::string_view options;  // of the superblock: a version 1 mount's controllers
};

std::vector<CgroupMount> CgroupMounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (const std::string_view line : Split(mountinfo, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto front = Split(line.substr(0, dash), ' ');
    const auto back = Split(line.substr(dash + 3), ' ');
    if (front.size() < 5 || back.size() < 3) continue;
    const uint32_t version = back[0] == "cgroup2" ? 2 : back[0] == "cgroup" ? 1 : 0;
    if (version == 0) continue;
    mounts.push_back({DecodeOctal(front[3]), DecodeOctal(front[4]), version, back[2]});
  }
  return mounts;
}

// The caller's path in the hierarchy that holds `controller`; "" names version 2's.
std::optional<std::string_view> OwnPath(std::string_view own_cgroups, std::string_view controller) {
  for (const std::string_view line : Split(own_cgroups, '\n')) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    const bool unified = controller.empty() && names.empty();
    if (unified || (!controller.empty() && Contains(names, ',', controller))) {
      return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

// Nothing if the caller's cgroup lies outside what the mount shows.
std::optional<std::string> Directory(const CgroupMount& mount, std::string_view own) {
  if (own.starts_with("/..")) return std::nullopt;
  std::string_view below = own;
  if (mount.root != "/") {
    if (!own.starts_with(mount.root)) return std::nullopt;
    below = own.substr(mount.root.size());
    if (!below.empty() && below.front() != '/') return std::nullopt;
  }
  return below == "/" ? mount.point : mount.point + std::string(below);
}

bool Holds(const CgroupMount& mount, const std::string& directory, std::string_view controller,
           const std::function<std::string(const std::string&)>& read) {
  if (mount.version == 1) return Contains(mount.options, ',', controller);
  const std::string controllers = read(directory + "/cgroup.controllers");
  return Contains(std::string_view(controllers).substr(0, controllers.find('\n')), ' ', controller);
}

CgroupPlace FindOne(const std::vector<CgroupMount>& mounts, std::string_view own_cgroups,
                    std::string_view controller,
                    const std::function<std::string(const std::string&)>& read) {
  for (const CgroupMount& mount : mounts) {
    const auto own = OwnPath(own_cgroups, mount.version == 1 ? controller : "");
    const auto directory = own ? Directory(mount, *own) : std::nullopt;
    if (!directory) continue;
    if (Holds(mount, *directory, controller, read)) return {mount.version, *directory};
  }
  return {};
}

}  // namespace

std::string_view ControllerName(Controller controller) {
  switch (controller) {
    case Controller::kMemory:
      return "memory";
    case Controller::kPids:
      return "pids";
    case Controller::kCpu:
      return "cpu";
  }
  return "";
}

CgroupPlaces FindCgroups(std::string_view mountinfo, std::string_view own_cgroups,
                         const std::function<std::string(const std::string&)>& read) {
  const std::vector<CgroupMount> mounts = CgroupMounts(mountinfo);
  CgroupPlaces places;
  for (const Controller controller : kControllers) {
    places.At(controller) = FindOne(mounts, own_cgroups, ControllerName(controller), read);
  }
  return places;
}

CgroupPlaces FindCgroups() {
  return FindCgroups(ReadSmallFile("/proc/self/mountinfo"), ReadSmallFile("/proc/self/cgroup"),
                     ReadSmallFile);
}

std::string FindUnifiedCgroup(std::string_view mountinfo, std::string_view own_cgroups) {
  for (const CgroupMount& mount : CgroupMounts(mountinfo)) {
    const auto own = OwnPath(own_cgroups, "");
    const auto directory = own && mount.version == 2 ? Directory(mount, *own) : std::nullopt;
    if (directory) return *directory;
  }
  return {};
}

std::string FindUnifiedCgroup() {
  return FindUnifiedCgroup(ReadSmallFile("/proc/self/mountinfo"),
                           ReadSmallFile("/proc/self/cgroup"));
}

std::string ReadSmallFile(const std::string& path) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[4096];
  ssize_t got = 0;
  while (text.size() < kMaxFile && (got = read(fd, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  return text;
}

}  // namespace bulkhead
