// SPDX-License-Identifier: Apache-2.0
// Capability numbers and names, from libcap, so that they can be read before a fork and dropped
// after it with plain system calls (libcap's own calls allocate). Thread-safe.
#pragma once

#include <string>
#include <vector>

namespace bulkhead {

// Capabilities in this process's bounding set, ascending. Only these need dropping: each drop costs
// a system call (a full set of 41 about 65 µs).
std::vector<int> BoundingCapabilities();

// How many capabilities the kernel knows: they are numbered from 0.
int KnownCapabilities();

// Empties this process's bounding set for good, so that what it starts has nothing to drop: 0 or an
// errno. What it holds it keeps, but for an exec.
int EmptyBoundingSet();

// Whether this process holds the capability (by number) in its effective set.
bool HoldsCapability(int capability);

// "cap_sys_admin".
std::string CapabilityName(int capability);

}  // namespace bulkhead
