// SPDX-License-Identifier: Apache-2.0
// What holds for a component with `on-violation: observe` all the same. Pure, thread-safe.
#pragma once

#include <string_view>

#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// What no observed component may do either, whatever its policy is to become: calls that no filter
// may allow, namespaces of its own, sockets other than unix, TCP and UDP, and the requests to
// terminals and attestation devices that every filter closes.
bool IsOutOfBounds(Arch arch, const SeccompData& data);

// Whether it hangs on the call's arguments.
bool HasOuterBounds(std::string_view call);

}  // namespace bulkhead
