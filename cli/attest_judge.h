// SPDX-License-Identifier: Apache-2.0
// What a relying party concludes: which bundle is in force where a document comes from, and which
// component asked for it. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "cli/cose.h"
#include "engine/event_log.h"
#include "profiles/bundle.h"

namespace bulkhead {

struct AttestFinding {
  std::string what;  // "register", "asked by"
  bool good = false;
  std::string text;
  bool open = false;  // compared with nothing, so `good` says nothing
};

struct AttestClaim {
  std::string component;       // that is to have asked; empty: any
  std::vector<uint8_t> bytes;  // that it gave
  std::optional<std::vector<uint8_t>> nonce;
};

// A TDX quote of version 4 or 5, without its signature.
struct QuoteValues {
  bool debug = false;                     // its memory is open to the host
  std::map<std::string, Digest> image{};  // mrtd, rtmr0, rtmr1, rtmr2
  Digest rtmr3{};
  std::vector<uint8_t> report_data;  // 64 bytes
};
std::optional<QuoteValues> ReadQuote(std::span<const uint8_t> quote);

// What the registers must hold for the bundle, and what they hold.
AttestFinding JudgeRegister(const Bundle& bundle, const Digest& digest,
                            const NitroDocument& document);
std::vector<AttestFinding> JudgeLog(const Bundle& bundle, const Digest& digest,
                                    std::span<const MeasuredEvent> events, const Digest& rtmr3);
AttestFinding JudgeAsker(const Bundle& bundle, const Digest& digest,
                         std::span<const uint8_t> user_data, const AttestClaim& claim);
// What the registers of the image must hold, by name; empty: the image is not judged.
using ImageClaim = std::map<std::string, Digest>;

// "pcr0=HEX", "mrtd=HEX".
tl::expected<ImageClaim, std::string> ReadImageClaim(const std::vector<std::string>& texts);

// Which image it is: a bundle's digest is public, and any image can measure it. In debug mode the
// registers say nothing, and are wrong.
std::vector<AttestFinding> JudgeImage(const NitroDocument& document, const ImageClaim& claim);
std::vector<AttestFinding> JudgeImage(const QuoteValues& quote, const ImageClaim& claim);

// Of a document that a supervisor asked for itself, about the key of its audit log; nothing where
// it is another one.
std::optional<AttestFinding> JudgeAuditKey(const Digest& digest, const NitroDocument& document);
// The last such document that an audit log holds.
tl::expected<std::vector<uint8_t>, std::string> DocumentInLog(std::string_view log);
// On what "the component" rests: its program's digest, or the image.
std::string RestsOn(const ProfileData& component);

// What a supervisor of this bundle measures first.
std::vector<MeasuredEvent> BundleEvents(const Bundle& bundle, const Digest& digest);

}  // namespace bulkhead
