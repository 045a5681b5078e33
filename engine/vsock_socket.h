// SPDX-License-Identifier: Apache-2.0
// The socket of a vsock listener: vsock(7), Linux 3.9. The only place in the runtime that makes a
// vsock address. One thread.
#pragma once

#include <tl/expected.hpp>

#include "engine/edges.h"
#include "profiles/profile.h"

namespace bulkhead {

// Bound to the port for any CID, not listening. EAFNOSUPPORT where the kernel has no vsock.
tl::expected<Fd, EdgeError> VsockSocket(const Listener& listener);

}  // namespace bulkhead
