// SPDX-License-Identifier: Apache-2.0
// The system calls that other keys of the language decide about. Constant data, thread-safe.
#pragma once

#include <string_view>

namespace bulkhead {

// The part of a component that decides about the call ("network", "files.execute"): it can't be
// named in `syscalls.allow`. Empty: none does.
std::string_view OwnerOf(std::string_view call);

}  // namespace bulkhead
