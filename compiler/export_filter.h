// SPDX-License-Identifier: Apache-2.0
// A component's filter for loaders that are not bulkhead-init: without a listener the kernel
// answers every notification with ENOSYS, and a launcher loads the filter before its own execve.
// Both can be written into the filter. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/profile.h"

namespace bulkhead {

enum class Refusal : uint8_t {
  kNotify,  // as compiled: for a loader that has a listener
  kErrno,   // EPERM
  kKill,    // the process ends
};

struct ExportOptions {
  Refusal refusal = Refusal::kNotify;  // calls that honest code probes for answer ENOSYS with both
                                       // others, as the supervisor answers them
  bool with_execve = false;            // execve passes, whatever the filter says of it
};

// The component's filter, changed as asked. Errors: it gets too long.
tl::expected<Filter, std::string> ExportFilter(const ProfileData& profile,
                                               const ExportOptions& options);

// struct sock_filter as little-endian kernels read it: 16 bits code, 8 jt, 8 jf, 32 k.
std::vector<uint8_t> EncodeFilter(const Filter& filter);

}  // namespace bulkhead
