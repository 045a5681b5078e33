// SPDX-License-Identifier: Apache-2.0
// Checked and merged trees to the values of policy/policy.h: units become numbers, keys become
// fields, every statement gets its id. What can be judged inside one component is judged here; what
// needs several is in policy/check.h. The trees have passed the schema, so a value that is there
// fits its type.
#pragma once

#include <vector>

#include "policy/diagnostics.h"
#include "policy/library.h"
#include "policy/node.h"
#include "policy/policy.h"
#include "policy/section.h"

namespace bulkhead {

// Everything but `sources` and the target.
Policy BuildPolicy(const Node& root, const Library& library, Diagnostics& diagnostics);

// The parts, a file each.
ComponentPolicy BuildComponent(const Entry& component, const Node& merged,
                               Diagnostics& diagnostics);
std::vector<FileRule> BuildFiles(const Section& files, Diagnostics& diagnostics);
NetworkPolicy BuildNetwork(const Section& network, Diagnostics& diagnostics);
std::vector<SyscallRule> BuildCalls(const Section& syscalls, std::string_view key,
                                    Diagnostics& diagnostics);
SyscallGroup BuildGroup(const Entry& group, Diagnostics& diagnostics);
Instances BuildInstances(const Section& component);
Lifecycle BuildLifecycle(const Section& component, Diagnostics& diagnostics);

}  // namespace bulkhead
