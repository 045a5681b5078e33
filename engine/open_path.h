// SPDX-License-Identifier: Apache-2.0
// Opening a path that others may have laid links into. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "engine/fd.h"

namespace bulkhead {

// `path` is absolute and normal, and means what it names beneath the directory `root`, part by
// part, none of them a link. O_CLOEXEC is added. On error errno says why, ELOOP or ENOTDIR for a
// link.
Fd OpenWithoutLinks(const std::string& root, std::string_view path, int flags);

}  // namespace bulkhead
