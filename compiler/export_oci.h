// SPDX-License-Identifier: Apache-2.0
// A component's filter as an OCI seccomp profile (opencontainers/runtime-spec, config-linux.md), as
// runc, crun and Docker take it. What the filter allows is read back from the program, exactly, and
// written as entries whose tests are MASKED_EQ of one value an argument: the one form with which a
// profile can look at as many bits as the kernel does. Pure, thread-safe.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "compiler/export_filter.h"
#include "profiles/profile.h"

namespace bulkhead {

inline constexpr size_t kMaxOciEntries = 512;  // of one system call

// The text of the profile. A profile has no listener: Refusal::kNotify is written as kErrno.
// Errors: the filter can't be read back (compiler/allowed_calls.h), allows a number without a name,
// tests the instruction pointer, or needs too many entries for a call.
tl::expected<std::string, std::string> ExportOci(const ProfileData& profile,
                                                 const ExportOptions& options);

}  // namespace bulkhead
