// SPDX-License-Identifier: Apache-2.0
// Which widenings of a diff somebody answers for, by a file of --accept. One thread.
#pragma once

#include <string>
#include <vector>

#include "compiler/bundle_diff.h"
#include "policy/acceptance.h"
#include "policy/diagnostics.h"

namespace bulkhead {

// For each difference what accepts it, or nullptr: only what is widened needs that. What has ended
// by `date` (YYYY-MM-DD) is a warning and accepts nothing; what accepts nothing any more, a note.
std::vector<const Acceptance*> Accept(const std::vector<Difference>& differences,
                                      const std::vector<Acceptance>& acceptances,
                                      const std::string& date, Diagnostics& diagnostics);

}  // namespace bulkhead
