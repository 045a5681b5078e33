// SPDX-License-Identifier: Apache-2.0
// A kernel's .config as a target, for kernels that don't run here, and what would lift each limit.
// A configuration says what is built, not what the boot makes of it: `lsm=` on the command line, a
// cgroup hierarchy that nobody mounts, a module that isn't in the image are not in it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/features.h"

namespace bulkhead {

struct ConfigLimit {  // a feature that the kernel lacks, or has less of than the newest has
  Feature feature = Feature::kLandlock;
  std::vector<std::string> lines;  // of a Kconfig fragment; empty: a newer kernel is needed
  std::string since;               // that kernel's release; empty: the fragment is enough
};

struct ConfiguredKernel {
  Target target;  // platform "none": a configuration doesn't tell where it boots
  std::vector<ConfigLimit> limits;
};

// `text` is a whole .config with the comment that names the release ("# Linux/x86 6.1.176 Kernel
// Configuration"). Errors, in words: no release, no architecture that bulkhead has.
tl::expected<ConfiguredKernel, std::string> ReadKernelConfig(std::string_view text,
                                                             std::string name);

}  // namespace bulkhead
