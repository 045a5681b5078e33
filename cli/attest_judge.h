// SPDX-License-Identifier: Apache-2.0
// What a relying party concludes: which bundle is in force where a document comes from, and which
// component asked for it. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/cose.h"
#include "engine/event_log.h"
#include "profiles/bundle.h"

namespace bulkhead {

struct AttestFinding {
  std::string what;  // "register", "asked by"
  bool good = false;
  std::string text;
};

struct AttestClaim {
  std::string component;       // that is to have asked; empty: any
  std::vector<uint8_t> bytes;  // that it gave
  std::optional<std::vector<uint8_t>> nonce;
};

// A TDX quote of version 4 or 5, without its signature.
struct QuoteValues {
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
// On what "the component" rests: its program's digest, or the image.
std::string RestsOn(const ProfileData& component);

// What a supervisor of this bundle measures first.
std::vector<MeasuredEvent> BundleEvents(const Bundle& bundle, const Digest& digest);

}  // namespace bulkhead
