// SPDX-License-Identifier: Apache-2.0
// What the running kernel offers this process, found by trying, never by a version or a config
// file. Whatever a try changes is changed in a child that ends with it, so nothing lasts. What is
// compiled in but not usable from here (no privilege, a container's filter) counts as absent:
// MissingPrivileges says why. Forks; call it from a process with one thread. Sources: man pages
// seccomp(2), landlock(7), fanotify_init(2), audit_netlink_ok in kernel/audit.c.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "profiles/features.h"

namespace bulkhead {

FeatureSet ProbeKernel();

// The running kernel as a target: architecture, release, features. The platform is told by the
// devices an enclave has: "nitro" (/dev/nsm), "tdx" (/dev/tdx_guest), else "none".
Target RunningTarget(std::string name);

// Whether the kernel would hand the memory of a crashed component to a socket (core(5),
// Linux 6.16). RLIMIT_CORE, which keeps dumps from files and pipes, doesn't stop that.
bool DumpsToSocket(std::string_view core_pattern);

// What bulkhead-init would lack here, each with what it is for; empty if nothing. One line each.
// Without `audit`, what only Feature::kLandlockAudit needs is left out: a bundle that does not
// require that feature boots without it.
std::vector<std::string> MissingPrivileges(bool audit = true);

}  // namespace bulkhead
