// SPDX-License-Identifier: Apache-2.0
// A compiled filter, read back and proved: which calls it lets pass, whatever their arguments or
// depending on them, and that no path of the program does anything else. Needs the bundle alone,
// so that who was given one need not believe who compiled it. Pure, thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/profile.h"

namespace bulkhead {

struct FilterReading {  // names of calls, sorted
  std::vector<std::string> always;
  std::vector<std::string> by_arguments;
  std::vector<std::string> skipped;  // answered 0 by the filter without being made
  size_t paths = 0;                  // through the program, all of them covered by the proof
};

// Errors: the filter can't be read back (compiler/allowed_calls.h), allows a number without a name,
// or is not proved to be what was read.
tl::expected<FilterReading, std::string> ReadFilter(const ProfileData& profile);

}  // namespace bulkhead
