// SPDX-License-Identifier: Apache-2.0
#include "engine/kept_paths.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>

namespace bulkhead {
namespace {

constexpr int kMaxLinks = 40;  // MAXSYMLINKS, include/linux/namei.h

// By the names that the bundle has.
std::vector<KeptPath> NamedPaths(const Bundle& bundle, const std::string& run_directory) {
  std::vector<KeptPath> kept;
  const auto keep = [&](const std::string& path, bool within = false) {
    kept.push_back({path, within, false});
  };
  for (const char* tree : {"/dev", "/proc", "/sys"}) keep(tree, true);
  // As the compiler: the runtime's own, and what it puts in the place of the machine's.
  for (const char* own : {"/run/bulkhead", "/run/notify", "/var/log/bulkhead", "/etc/bulkhead",
                          "/etc/passwd", "/etc/group"}) {
    keep(own);
  }
  keep(run_directory);
  for (const std::string& sink : SinkPaths(bundle->sinks, bundle->output)) keep(sink);
  for (const Asset& asset : bundle->assets) {
    for (const std::string& file : asset.files) keep(file);
  }
  for (const ProfileData& component : bundle->components) {
    for (const Secret& secret : component.secrets) keep(secret.path);
    for (const ViewEntry& entry : component.view) {
      if (entry.kind == ViewKind::kWritable || entry.kind == ViewKind::kState ||
          entry.kind == ViewKind::kEdge) {
        keep(entry.path, true);
      }
    }
  }
  return kept;
}

}  // namespace

std::string LinkOnMachine(const std::string& path) {
  std::array<char, PATH_MAX> text;
  const ssize_t size = readlink(path.c_str(), text.data(), text.size());
  return size <= 0 ? std::string() : std::string(text.data(), static_cast<size_t>(size));
}

std::string NameWithoutLinks(const std::string& path, const ReadLink& read_link) {
  std::string real;
  std::string left = path;  // begins with a slash where it is not empty
  for (int links = 0; !left.empty();) {
    const size_t end = std::min(left.find('/', 1), left.size());
    const std::string part = left.substr(1, end - 1);
    left.erase(0, end);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      real.resize(real.empty() ? 0 : real.rfind('/'));
      continue;
    }
    const std::string next = real + "/" + part;
    const std::string target = read_link(next);
    if (target.empty()) {
      real = next;
      continue;
    }
    if (++links > kMaxLinks) return path;
    if (target.front() == '/') real.clear();
    left.insert(0, target.front() == '/' ? target : "/" + target);
  }
  return real.empty() ? "/" : real;
}

std::vector<KeptPath> KeptPaths(const Bundle& bundle, const std::string& run_directory,
                                const ReadLink& read_link) {
  const std::vector<KeptPath> named = NamedPaths(bundle, run_directory);
  std::vector<KeptPath> kept = named;
  for (const KeptPath& one : named) {
    if (std::string real = NameWithoutLinks(one.path, read_link); real != one.path) {
      kept.push_back({std::move(real), one.within, true});
    }
  }
  return kept;
}

std::vector<LinkedAsset> LinkedAssets(const Bundle& bundle, const ReadLink& read_link) {
  std::vector<LinkedAsset> linked;
  for (const Asset& asset : bundle->assets) {
    for (const std::string& file : asset.files) {
      const std::string real = NameWithoutLinks(file, read_link);
      if (real == file) continue;
      linked.push_back(
          {asset.name, file, "is reached over a symbolic link: name it `" + real + "`"});
    }
  }
  return linked;
}

}  // namespace bulkhead
