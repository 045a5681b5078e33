// SPDX-License-Identifier: Apache-2.0
// The parent of a Nitro enclave, as far as bulkhead-init speaks to it: port 9000 of CID 3, where
// the byte of a heartbeat is sent back. In a guest that CID is nobody's, so it is played from
// beneath: as the machine behind the guest's own /dev/vhost-vsock.
#pragma once

namespace bulkhead::test {

// Until it is killed; says on standard output when it has answered a heartbeat. Returns only if
// that can't be played, with what failed in errno.
const char* PlayParent();

}  // namespace bulkhead::test
