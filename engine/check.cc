// SPDX-License-Identifier: Apache-2.0
#include "engine/check.h"

namespace bulkhead {
namespace {

// The release that brought a level; Documentation/userspace-api/landlock.rst.
std::string_view SinceOf(const Requirement& requirement, const FeatureInfo& info) {
  constexpr std::string_view kLandlock[] = {"5.13", "5.19", "6.2", "6.7", "6.10", "6.12", "6.15"};
  const bool landlock = requirement.feature == Feature::kLandlock;
  const bool known = requirement.level >= 1 && requirement.level <= std::size(kLandlock);
  return landlock && known ? kLandlock[requirement.level - 1] : info.since;
}

std::string Describe(const Requirement& requirement, uint32_t offered) {
  const FeatureInfo& info = Info(requirement.feature);
  std::string text = "`" + requirement.statement + "` needs " + std::string(info.what);
  if (info.is_level) {
    text += " " + std::to_string(requirement.level) + ", this kernel has " +
            (offered == 0 ? std::string("none") : std::to_string(offered));
  } else {
    text += ", this kernel has none";
  }
  return text + " (" + std::string(info.key) + ", Linux " +
         std::string(SinceOf(requirement, info)) + ")";
}

}  // namespace

std::vector<std::string> UnmetRequirements(const Bundle& bundle, Arch arch,
                                           const FeatureSet& kernel) {
  std::vector<std::string> lines;
  if (bundle->target.arch != arch) {
    lines.push_back("the bundle is for " + std::string(ArchName(bundle->target.arch)) +
                    ", this machine is " + std::string(ArchName(arch)));
  }
  for (const Requirement& requirement : bundle->requirements) {
    const uint32_t offered = kernel.Level(requirement.feature);
    const bool cgroup = requirement.feature == Feature::kCgroupMemory ||
                        requirement.feature == Feature::kCgroupPids ||
                        requirement.feature == Feature::kCgroupCpu;
    // Either cgroup version limits; which one is the runtime's to find.
    const bool met = cgroup ? offered != 0 : offered >= requirement.level;
    if (!met) lines.push_back(Describe(requirement, offered));
  }
  return lines;
}

}  // namespace bulkhead
