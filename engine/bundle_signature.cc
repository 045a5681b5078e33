// SPDX-License-Identifier: Apache-2.0
#include "engine/bundle_signature.h"

#include <nettle/eddsa.h>

#include <algorithm>

#include "profiles/bundle.h"

namespace bulkhead {
namespace {

template <size_t Size>
std::optional<std::array<uint8_t, Size>> ParseHex(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.size() != 2 * Size) return std::nullopt;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<uint8_t, Size> bytes{};
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t digit = kDigits.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    bytes[i / 2] = static_cast<uint8_t>(bytes[i / 2] << 4 | digit);
  }
  return bytes;
}

static_assert(sizeof(BundleKey) == ED25519_KEY_SIZE);
static_assert(sizeof(BundleSignature) == ED25519_SIGNATURE_SIZE);

}  // namespace

std::vector<uint8_t> SignedMessage(const Digest& bundle) {
  constexpr std::string_view kLabel{"bulkhead bundle v1\0", 19};
  std::vector<uint8_t> message(kLabel.size() + bundle.size());
  std::copy(bundle.begin(), bundle.end(), std::copy(kLabel.begin(), kLabel.end(), message.begin()));
  return message;
}

bool IsSignedBy(const BundleKey& key, const Digest& bundle, const BundleSignature& signature) {
  const std::vector<uint8_t> message = SignedMessage(bundle);
  return ed25519_sha512_verify(key.data(), message.size(), message.data(), signature.data()) == 1;
}

std::string BundleSignatureDefect(std::string_view key, std::string_view signature,
                                  std::span<const uint8_t> bundle) {
  const auto known = ParseBundleKey(key);
  if (!known) return "the image's key is not 64 hexadecimal digits";
  const auto given = ParseBundleSignature(signature);
  if (!given) return "its signature is not 128 hexadecimal digits";
  if (IsSignedBy(*known, BundleDigest(bundle), *given)) return {};
  return "it is not signed by the image's key";
}

std::string ImageSignatureDefect(std::string_view key, std::string_view signature,
                                 std::span<const uint8_t> bundle) {
  if (key.empty()) return {};
  if (signature.empty()) return "the image takes signed bundles, and it has no signature";
  return BundleSignatureDefect(key, signature, bundle);
}

std::optional<BundleKey> ParseBundleKey(std::string_view text) { return ParseHex<32>(text); }
std::optional<BundleSignature> ParseBundleSignature(std::string_view text) {
  return ParseHex<64>(text);
}

}  // namespace bulkhead
