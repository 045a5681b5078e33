// SPDX-License-Identifier: Apache-2.0
// The first look at a policy file: its bytes, before any YAML. Pure, thread-safe.
#pragma once

#include <string_view>

#include "policy/diagnostics.h"

namespace bulkhead {

// False, with errors, when the text has a byte order mark, is not UTF-8, or holds a tab, a
// carriage return, another control character or an invisible one. One pass, no allocation but the
// errors; at most one error a line.
bool ScanText(std::string_view text, uint32_t file, Diagnostics& diagnostics);

}  // namespace bulkhead
