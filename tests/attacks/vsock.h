// SPDX-License-Identifier: Apache-2.0
// The only place in this repository where a vsock address is made. The other side of a real vsock
// is somebody else's, so outside of a guest of ours (scripts/guest) nothing is bound or connected.
#pragma once

#include <cstdint>

namespace bulkhead::attacks {

// Whether this is such a guest: QEMU's firmware, and the word that scripts/guest puts on the
// kernel's command line.
bool InOwnGuest();

// A listener on the guest's own loopback (VMADDR_CID_LOCAL), or a connection there. -1 with EPERM
// before any call is made where this is no guest of ours, otherwise what the kernel answers.
int ListenVsock(uint32_t port);
int ConnectVsock(int fd, uint32_t port);

}  // namespace bulkhead::attacks
