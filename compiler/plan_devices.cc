// SPDX-License-Identifier: Apache-2.0
// Device nodes beyond those that the runtime puts into every view.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/planner.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

constexpr std::string_view kEveryView[] = {
    "/dev/full",    "/dev/null", "/dev/random", "/dev/shm",    "/dev/fd",
    "/dev/urandom", "/dev/zero", "/dev/stdin",  "/dev/stdout", "/dev/stderr"};

struct ClosedDevice {
  std::string_view start;  // of the path
  std::string_view reason;
};

// Whoever has one of these speaks as the enclave, or is not confined by the rest of the profile.
constexpr ClosedDevice kClosed[] = {
    {"/dev/nsm", "it attests: whoever has it is the enclave"},
    {"/dev/tdx", "it attests: whoever has it is the enclave"},
    {"/dev/sev-guest", "it attests: whoever has it is the enclave"},
    {"/dev/tpm", "it attests: whoever has it is the enclave"},
    {"/dev/mem", "it is the kernel's memory"},
    {"/dev/kmem", "it is the kernel's memory"},
    {"/dev/port", "it is the machine's ports"},
    {"/dev/kmsg", "it is the kernel's log"},
    {"/dev/vsock", "it leads to the host"},
    {"/dev/vhost", "it leads to the host"},
    {"/dev/userfaultfd", "it stops the kernel in the middle of a call"},
    {"/dev/fuse", "it makes file systems"},
    {"/dev/cuse", "it makes devices"},
    {"/dev/loop", "it makes file systems of files"},
    {"/dev/disk", "it is beneath the files of others"},
    {"/dev/dm-", "it is beneath the files of others"},
    {"/dev/mapper", "it is beneath the files of others"},
    {"/dev/nvme", "it is beneath the files of others"},
    {"/dev/pmem", "it is beneath the files of others"},
    {"/dev/ram", "it is beneath the files of others"},
    {"/dev/sd", "it is beneath the files of others"},
    {"/dev/vd", "it is beneath the files of others"},
    {"/dev/xvd", "it is beneath the files of others"},
};

bool Good(const ComponentPlan& plan, const Text& device) {
  const std::string& path = device.value;
  if (!path.starts_with("/dev/")) {
    plan.Error(device.at.place, "E0537", fmt::format("`{}` is not a path beneath /dev", path),
               "files and directories are named under `files`");
    return false;
  }
  for (const std::string_view own : kEveryView) {
    if (!Covers(own, path)) continue;
    plan.Error(device.at.place, "E0538", fmt::format("`{}` is in every view already", path),
               "take it out");
    return false;
  }
  for (const ClosedDevice& closed : kClosed) {
    if (!path.starts_with(closed.start)) continue;
    plan.Error(device.at.place, "E0539", fmt::format("`{}` is in nobody's view", path),
               std::string(closed.reason));
    return false;
  }
  return true;
}

}  // namespace

void PlanDevices(ComponentPlan& plan) {
  for (const Text& device : plan.policy.devices) {
    if (!Good(plan, device)) continue;
    plan.profile.view.push_back(
        {.path = device.value, .kind = ViewKind::kDevice, .rule = device.at.id});
    AddLandlockRule(plan, device.value,
                    landlock::kReadFile | landlock::kWriteFile | landlock::kIoctlDev, false,
                    device.at.id);
  }
  if (plan.policy.devices.empty()) return;
  const bool whole = plan.LandlockAbi() >= 5;
  plan.Row("devices",
           {{Layer::kView, "these nodes alone, without execution and setuid"},
            {Layer::kOwnership, "the node's own owner and mode"},
            {Layer::kSeccomp, "ioctl requests as `syscalls` says"}},
           whole ? Status::kEnforced : Status::kSubstituted, Recorder::kNone,
           "a node that is not in the view answers ENOENT and is not recorded");
}

}  // namespace bulkhead
