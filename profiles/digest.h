// SPDX-License-Identifier: Apache-2.0
// SHA-384 (FIPS 180-4) of byte strings, by nettle. Pure, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bulkhead {

using Digest = std::array<uint8_t, 48>;

Digest Sha384(std::span<const uint8_t> bytes);
Digest Sha384(std::string_view bytes);

std::string Hex(std::span<const uint8_t> bytes);
// 96 hexadecimal digits, lower case only.
std::optional<Digest> ParseDigest(std::string_view hex);

}  // namespace bulkhead
