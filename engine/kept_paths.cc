// SPDX-License-Identifier: Apache-2.0
#include "engine/kept_paths.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>

namespace bulkhead {
namespace {

// Without links; of what is not there as far as it goes.
std::string RealName(const std::string& path) {
  std::array<char, PATH_MAX> real;
  std::string there = path;
  while (there.size() > 1 && realpath(there.c_str(), real.data()) == nullptr) {
    there.resize(std::max<size_t>(there.rfind('/'), 1));
  }
  if (there.size() <= 1) return path;
  return real.data() + path.substr(there.size());
}

}  // namespace

std::vector<std::string> KeptPaths(const Bundle& bundle, const std::string& run_directory) {
  std::vector<std::string> kept{
      "/run/bulkhead", "/run/notify", "/var/log/bulkhead", run_directory, "/dev", "/proc", "/sys"};
  const std::vector<std::string> sinks = SinkPaths(bundle->sinks, bundle->output);
  kept.insert(kept.end(), sinks.begin(), sinks.end());
  for (const Asset& asset : bundle->assets) {
    kept.insert(kept.end(), asset.files.begin(), asset.files.end());
  }
  for (const ProfileData& component : bundle->components) {
    for (const Secret& secret : component.secrets) kept.push_back(secret.path);
    for (const ViewEntry& entry : component.view) {
      if (entry.kind == ViewKind::kWritable || entry.kind == ViewKind::kState ||
          entry.kind == ViewKind::kEdge) {
        kept.push_back(entry.path);
      }
    }
  }
  return kept;
}

tl::expected<std::vector<std::string>, std::string> KeptByRealNames(
    const Bundle& bundle, const std::string& run_directory) {
  for (const Asset& asset : bundle->assets) {
    for (const std::string& file : asset.files) {
      const std::string real = RealName(file);
      if (real == file) continue;
      return tl::make_unexpected("asset `" + asset.name + "`: `" + file +
                                 "` is reached over a symbolic link: name it `" + real + "`");
    }
  }
  const std::vector<std::string> named = KeptPaths(bundle, run_directory);
  std::vector<std::string> kept = named;
  for (const std::string& path : named) {
    if (std::string real = RealName(path); real != path) kept.push_back(std::move(real));
  }
  return kept;
}

}  // namespace bulkhead
