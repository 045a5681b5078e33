// SPDX-License-Identifier: Apache-2.0
// Opening what a path names, and not what a link on it leads to, however often others turn it into
// one meanwhile. Between clone and exec: nothing is allocated. Sources: openat2(2) (Linux 5.6);
// where that is missing each part by open(2)'s O_PATH and O_NOFOLLOW.
#pragma once

#include "sandbox/kernel.h"

namespace bulkhead {

// An O_PATH descriptor of `path`, from `directory`, which is not looked at where the path is
// absolute; of `directory` itself where it is empty. A link on the way, or at its end, is ELOOP.
long OpenWithoutLinks(Kernel& kernel, long directory, const char* path);

}  // namespace bulkhead
