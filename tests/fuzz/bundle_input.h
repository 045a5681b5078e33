// SPDX-License-Identifier: Apache-2.0
// What must hold for any bytes at all that are loaded as a bundle. Shared by the fuzz target and
// the test that replays its corpus.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace bulkhead::testing {

// Aborts when something does not hold. The bytes are loaded as they are, and, where they are long
// enough for a frame, with that made right. True: something was loaded.
bool TryBundleInput(std::string_view input);

// A frame with the right magic, version, length and digest around any bytes.
std::vector<uint8_t> Framed(std::string_view body);

}  // namespace bulkhead::testing
