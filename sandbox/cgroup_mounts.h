// SPDX-License-Identifier: Apache-2.0
// Where the calling process stands in the cgroup hierarchies, from /proc/self/mountinfo and
// /proc/self/cgroup (proc(5), cgroups(7)). A controller is on a version 1 mount, in the version 2
// tree, or nowhere. Pure but for its two readers; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace bulkhead {

enum class Controller : uint8_t { kMemory, kPids, kCpu };
inline constexpr std::array kControllers = {Controller::kMemory, Controller::kPids,
                                            Controller::kCpu};
std::string_view ControllerName(Controller controller);

struct CgroupPlace {
  uint32_t version = 0;   // 1 or 2; 0: the controller is not there
  std::string directory;  // of the caller's own cgroup
  bool operator==(const CgroupPlace&) const = default;
};

class CgroupPlaces {
 public:
  const CgroupPlace& At(Controller controller) const {
    return places_[static_cast<size_t>(controller)];
  }
  CgroupPlace& At(Controller controller) { return places_[static_cast<size_t>(controller)]; }
  bool operator==(const CgroupPlaces&) const = default;

 private:
  std::array<CgroupPlace, kControllers.size()> places_;
};

// `read` gives the content of a file, empty if there is none: it is asked for the version 2
// tree's cgroup.controllers.
CgroupPlaces FindCgroups(std::string_view mountinfo, std::string_view own_cgroups,
                         const std::function<std::string(const std::string&)>& read);

// The same for this process.
CgroupPlaces FindCgroups();

// The caller's own directory in the version 2 tree; empty where there is none.
std::string FindUnifiedCgroup(std::string_view mountinfo, std::string_view own_cgroups);
std::string FindUnifiedCgroup();

// At most 1 MiB of a file; empty if it cannot be read.
std::string ReadSmallFile(const std::string& path);

}  // namespace bulkhead
