// SPDX-License-Identifier: Apache-2.0
// Diagnostics in the Static Analysis Results Interchange Format, version 2.1.0 (OASIS), which
// editors and code hosts show beside the lines. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/diagnostics.h"

namespace bulkhead {

// One run; sorted diagnostics give stable bytes. Columns count Unicode code points.
std::string SarifText(const std::vector<Diagnostic>& diagnostics, const Sources& sources);

}  // namespace bulkhead
