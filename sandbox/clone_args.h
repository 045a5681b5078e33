// SPDX-License-Identifier: Apache-2.0
// clone3(2) into a cgroup of version 2: since Linux 5.7.
#pragma once

#include <cerrno>
#include <cstdint>

namespace bulkhead {

// struct clone_args as of Linux 5.7 (linux/sched.h).
struct CloneArgs {
  uint64_t flags = 0, pidfd = 0, child_tid = 0, parent_tid = 0, exit_signal = 0;
  const void* stack = nullptr;
  uint64_t stack_size = 0, tls = 0, set_tid = 0, set_tid_size = 0, cgroup = 0;
};

inline constexpr uint64_t kCloneIntoCgroup = 1ULL << 33;  // CLONE_INTO_CGROUP

// The answer of a kernel that does not know it: nothing was made.
inline bool IsNoCloneIntoCgroup(long result) {
  return result == -ENOSYS || result == -EINVAL || result == -E2BIG;
}

}  // namespace bulkhead
