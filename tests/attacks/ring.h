// SPDX-License-Identifier: Apache-2.0
// io_uring without a library, as far as making a socket needs it.
#pragma once

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {

// A ring of one entry, and its layout; -1 and errno where there are none.
int SetUpRing(io_uring_params& layout);

// What the kernel answers when the ring, which has this layout, makes a socket; 0 with a socket.
Result MakesSocketByRing(int ring, const io_uring_params& layout, int domain);

}  // namespace bulkhead::attacks
