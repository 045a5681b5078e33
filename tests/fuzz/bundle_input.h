// SPDX-License-Identifier: Apache-2.0
// What must hold for any bytes at all that are loaded as a bundle. Shared by the fuzz target and
// the test that replays its corpus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace bulkhead::testing {

// Aborts when something does not hold. The bytes are loaded as they are, and, where they are long
// enough for a frame, with its length and digest made right. True: something was loaded.
bool TryBundleInput(std::string_view input);

// The same bytes, of at least a frame, with its magic, version, length and digest made right.
std::vector<uint8_t> Reframed(std::string_view input);

}  // namespace bulkhead::testing
