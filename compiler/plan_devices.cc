// SPDX-License-Identifier: Apache-2.0
// Device nodes beyond those that the runtime puts into every view.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/planner.h"
#include "profiles/closed_devices.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

constexpr std::string_view kEveryView[] = {
    "/dev/full",    "/dev/null", "/dev/random", "/dev/shm",    "/dev/fd",
    "/dev/urandom", "/dev/zero", "/dev/stdin",  "/dev/stdout", "/dev/stderr"};

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
  if (const ClosedDevice* const closed = FindClosedDevice(path)) {
    plan.Error(device.at.place, "E0539", fmt::format("`{}` is in nobody's view", path),
               std::string(closed->reason));
    return false;
  }
  for (const auto& [name, own] : plan.enclave.loaded.target.devices) {
    if (!Covers(path, own) && !Covers(own, path)) continue;
    plan.Error(device.at.place, "E0539", fmt::format("`{}` is in nobody's view", path),
               "it attests: whoever has it is the enclave");
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
