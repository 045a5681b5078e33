// SPDX-License-Identifier: Apache-2.0
#include "engine/kept_paths.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>

namespace bulkhead {
namespace {

// Without links; of what is not there as far as it goes, and where a link leads to nothing yet,
// that.
std::string RealName(const std::string& path) {
  std::array<char, PATH_MAX> real;
  std::string there = path;
  while (there.size() > 1 && realpath(there.c_str(), real.data()) == nullptr) {
    const std::string parent = there.substr(0, std::max<size_t>(there.rfind('/'), 1));
    const ssize_t size = readlink(there.c_str(), real.data(), real.size());
    if (size > 0) {
      const std::string target(real.data(), static_cast<size_t>(size));
      const std::string from = target.starts_with('/') ? "" : parent + "/";
      return from + target + path.substr(there.size());
    }
    there = parent;
  }
  if (there.size() <= 1) return path;
  return real.data() + path.substr(there.size());
}

}  // namespace

std::vector<KeptPath> KeptPaths(const Bundle& bundle, const std::string& run_directory) {
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

tl::expected<std::vector<KeptPath>, std::string> KeptByRealNames(const Bundle& bundle,
                                                                 const std::string& run_directory) {
  for (const Asset& asset : bundle->assets) {
    for (const std::string& file : asset.files) {
      const std::string real = RealName(file);
      if (real == file) continue;
      return tl::make_unexpected("asset `" + asset.name + "`: `" + file +
                                 "` is reached over a symbolic link: name it `" + real + "`");
    }
  }
  const std::vector<KeptPath> named = KeptPaths(bundle, run_directory);
  std::vector<KeptPath> kept = named;
  for (const KeptPath& one : named) {
    if (std::string real = RealName(one.path); real != one.path) {
      kept.push_back({std::move(real), one.within, true});
    }
  }
  return kept;
}

}  // namespace bulkhead
