// SPDX-License-Identifier: Apache-2.0
// The word by which a Nitro enclave tells its parent that it has booted: a vsock stream on which
// the enclave writes the byte 0xB7 and reads it back. Without it `nitro-cli run-enclave` never
// returns. Whether it is said hangs on the platform of the bundle's target, so that is measured; to
// whom is part of the program. Blocks for some seconds at most. Source: init.c of
// aws-nitro-enclaves-sdk-bootstrap; vsock(7).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "profiles/bundle.h"
#include "sandbox/kernel.h"

namespace bulkhead {

inline constexpr uint8_t kHeartbeat = 0xB7;

bool WaitsForHeartbeat(std::string_view platform);  // pure

// The parent of every Nitro enclave; of programs that are made for tests alone, this machine.
VsockPeer HeartbeatPeer();

// Errors: the step and the errno in words, or that another byte came back.
tl::expected<void, std::string> SendHeartbeat(Kernel& kernel, const VsockPeer& parent);

}  // namespace bulkhead
