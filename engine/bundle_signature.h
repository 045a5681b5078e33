// SPDX-License-Identifier: Apache-2.0
// Who may say what this image runs: an Ed25519 signature (RFC 8032, by nettle) over a bundle's
// digest. Pure, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/digest.h"

namespace bulkhead {

using BundleKey = std::array<uint8_t, 32>;
using BundleSignature = std::array<uint8_t, 64>;

// Where an image that takes signed bundles only has the key: 64 hexadecimal digits and a line feed.
// It is part of the measured image, like bulkhead-init itself.
inline constexpr std::string_view kBundleKeyPath = "/etc/bulkhead/bundle.pub";
// Beside the bundle: 128 hexadecimal digits and a line feed.
inline constexpr std::string_view kSignatureSuffix = ".sig";

// What is signed: "bulkhead bundle v1\0" and the digest.
std::vector<uint8_t> SignedMessage(const Digest& bundle);

bool IsSignedBy(const BundleKey& key, const Digest& bundle, const BundleSignature& signature);

// What `key` and `signature` say, which are the files' texts, about the bundle's bytes, of which
// nothing is parsed: an empty text is good, any other says what is wrong.
std::string BundleSignatureDefect(std::string_view key, std::string_view signature,
                                  std::span<const uint8_t> bundle);

// The same for an image that may have no key, and then takes any bundle: an empty text is no file.
// `bulkhead image` and bulkhead-init both decide by it.
std::string ImageSignatureDefect(std::string_view key, std::string_view signature,
                                 std::span<const uint8_t> bundle);

// Longer texts are no key and no signature.
inline constexpr size_t kMaxSignatureText = 256;

// Lower case hexadecimal digits, and a line feed or none.
std::optional<BundleKey> ParseBundleKey(std::string_view text);
std::optional<BundleSignature> ParseBundleSignature(std::string_view text);

}  // namespace bulkhead
