// SPDX-License-Identifier: Apache-2.0
// Devices that no component has: the compiler refuses them by the path in the policy, the runtime
// by the kernel's own name of what it finds there. Constant data, thread-safe.
#pragma once

#include <span>
#include <string_view>

namespace bulkhead {

struct ClosedDevice {
  std::string_view start;  // of the path
  std::string_view reason;
};

std::span<const ClosedDevice> ClosedDevices();
// The row that closes the path; nullptr: none does.
const ClosedDevice* FindClosedDevice(std::string_view path);

}  // namespace bulkhead
