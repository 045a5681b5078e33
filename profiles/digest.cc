// SPDX-License-Identifier: Apache-2.0
#include "profiles/digest.h"

#include <nettle/sha2.h>

namespace bulkhead {

Digest Sha384(std::span<const uint8_t> bytes) {
  Digest digest{};
  sha384_ctx context;
  sha384_init(&context);
  sha384_update(&context, bytes.size(), bytes.data());
  sha384_digest(&context, digest.size(), digest.data());
  return digest;
}

Digest Sha384(std::string_view bytes) {
  return Sha384(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
}

std::string Hex(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<Digest> ParseDigest(std::string_view hex) {
  Digest digest{};
  if (hex.size() != digest.size() * 2) return std::nullopt;
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (size_t i = 0; i < digest.size(); ++i) {
    const size_t high = kDigits.find(hex[2 * i]);
    const size_t low = kDigits.find(hex[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    digest[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return digest;
}

}  // namespace bulkhead
