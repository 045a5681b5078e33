// SPDX-License-Identifier: Apache-2.0
#include "profiles/features.h"

namespace bulkhead {
namespace {

constexpr FeatureInfo kFeatures[] = {
    {Feature::kLandlock, "landlock", "Landlock ABI", "5.13", true, "SECURITY_LANDLOCK"},
    {Feature::kSeccompNotify, "seccomp-notify", "seccomp user notification", "5.0", false,
     "SECCOMP_FILTER"},
    {Feature::kSeccompWaitKillable, "seccomp-wait-killable", "killable waits for notifications",
     "5.19", false, "SECCOMP_FILTER"},
    {Feature::kSeccompSyncWake, "seccomp-sync-wake", "synchronous wake-up of notifications", "6.6",
     false, "SECCOMP_FILTER"},
    {Feature::kPidfd, "pidfd", "pidfd_open and pidfd_getfd", "5.6", false, ""},
    {Feature::kCloseRange, "close-range", "close_range", "5.9", false, ""},
    {Feature::kMountNamespace, "mount-namespace", "mount namespaces", "2.4", false, ""},
    {Feature::kPidNamespace, "pid-namespace", "PID namespaces", "2.6", false, "PID_NS"},
    {Feature::kIpcNamespace, "ipc-namespace", "IPC namespaces", "2.6", false, "IPC_NS"},
    {Feature::kUtsNamespace, "uts-namespace", "UTS namespaces", "2.6", false, "UTS_NS"},
    {Feature::kNetNamespace, "net-namespace", "network namespaces", "2.6", false, "NET_NS"},
    {Feature::kProcSubsetPid, "proc-subset-pid", "proc mounted with subset=pid", "5.8", false,
     "PROC_FS"},
    {Feature::kFanotifyPerm, "fanotify-permission", "fanotify permission events", "2.6", false,
     "FANOTIFY FANOTIFY_ACCESS_PERMISSIONS"},
    {Feature::kLandlockAudit, "landlock-audit", "audit records of Landlock denials", "6.15", false,
     "AUDIT SECURITY_LANDLOCK"},
    {Feature::kCgroupMemory, "cgroup-memory", "memory controller (cgroup version)", "2.6", true,
     "MEMCG"},
    {Feature::kCgroupPids, "cgroup-pids", "pids controller (cgroup version)", "4.3", true,
     "CGROUP_PIDS"},
    {Feature::kCgroupCpu, "cgroup-cpu", "cpu controller (cgroup version)", "2.6", true,
     "FAIR_GROUP_SCHED CFS_BANDWIDTH"},
    {Feature::kConnectGuard, "connect-guard", "cgroup programs for connect and bind", "4.17", false,
     "BPF_SYSCALL CGROUP_BPF"},
    {Feature::kSeccompTrace, "seccomp-trace", "filtered calls that a tracer lets pass", "4.8",
     false, "SECCOMP_FILTER"},
};
static_assert(std::size(kFeatures) == kFeatureCount);

}  // namespace

std::span<const FeatureInfo> Features() { return kFeatures; }

const FeatureInfo& Info(Feature feature) { return kFeatures[static_cast<size_t>(feature)]; }

std::optional<Feature> ParseFeature(std::string_view key) {
  for (const FeatureInfo& info : kFeatures) {
    if (info.key == key) return info.feature;
  }
  return std::nullopt;
}

}  // namespace bulkhead
