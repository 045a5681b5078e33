// SPDX-License-Identifier: Apache-2.0
// What the components of a measured boot do; each says line by line what came of it.
#pragma once

namespace bulkhead::test {

// `sign`: asks for a document for the words `hello` and `nonce`. `try`: tries to come to the
// devices without being given one. Both then stay until they are killed. `hello`: says so and ends.
int Inside(const char* what);

// The numbers of the module's device, of the machine's root, as `try` reads them there.
inline constexpr char kDeviceNumbers[] = "/suite/device";
// A descriptor of the module that whoever started PID 1 has left open.
inline constexpr int kLeft = 60;

}  // namespace bulkhead::test
