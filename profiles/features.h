// SPDX-License-Identifier: Apache-2.0
// What a kernel offers, as one table of features. A target file states them, doctor measures them,
// a bundle requires them, and the runtime compares: all four read this table. Pure, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "profiles/arch.h"

namespace bulkhead {

enum class Feature : uint8_t {
  kLandlock,             // value: the ABI, 0 for none
  kSeccompNotify,        // user notification with a listener
  kSeccompWaitKillable,  // WAIT_KILLABLE_RECV
  kSeccompSyncWake,      // SECCOMP_IOCTL_NOTIF_SET_FLAGS
  kPidfd,                // pidfd_open, pidfd_getfd, clone3 with CLONE_PIDFD
  kCloseRange,
  kMountNamespace,
  kPidNamespace,
  kIpcNamespace,
  kUtsNamespace,
  kNetNamespace,
  kProcSubsetPid,  // mount -t proc -o subset=pid
  kFanotifyPerm,   // permission events, for tripwires without Landlock records
  kLandlockAudit,  // Landlock denials readable as audit records by the supervisor
  kCgroupMemory,   // value: cgroup version of the controller, 0 for none
  kCgroupPids,
  kCgroupCpu,
  kConnectGuard,  // cgroup programs that refuse connect and bind
  kSeccompTrace,  // SECCOMP_RET_TRACE with the filter looked at after the tracer
};
inline constexpr size_t kFeatureCount = 19;

struct FeatureInfo {
  Feature feature;
  std::string_view key;     // in target files: "landlock"
  std::string_view what;    // for people: "Landlock ABI"
  std::string_view since;   // kernel release
  bool is_level;            // a number to reach, otherwise 0 or 1
  std::string_view config;  // symbols of the kernel's configuration, without CONFIG_, all needed
};

std::span<const FeatureInfo> Features();  // in enum order
const FeatureInfo& Info(Feature feature);
std::optional<Feature> ParseFeature(std::string_view key);

class FeatureSet {
 public:
  uint32_t Level(Feature feature) const { return levels_[static_cast<size_t>(feature)]; }
  bool Has(Feature feature) const { return Level(feature) != 0; }
  void Set(Feature feature, uint32_t level) { levels_[static_cast<size_t>(feature)] = level; }
  bool operator==(const FeatureSet&) const = default;

 private:
  std::array<uint32_t, kFeatureCount> levels_{};
};

// A kernel as a compilation target: the content of a file of profiles/targets.
struct Target {
  std::string name;
  Arch arch = Arch::kX86_64;
  uint32_t kernel_major = 0;
  uint32_t kernel_minor = 0;
  std::string platform;  // none, nitro, tdx
  FeatureSet features;
  bool operator==(const Target&) const = default;
};

}  // namespace bulkhead
