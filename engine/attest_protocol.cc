// SPDX-License-Identifier: Apache-2.0
#include "engine/attest_protocol.h"

#include <algorithm>

namespace bulkhead {
namespace {

constexpr std::string_view kMagic = "BHA1";

uint32_t ReadU32(std::span<const uint8_t> bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{bytes[at + i]} << (8 * i);
  return value;
}

void PutU32(std::vector<uint8_t>& out, size_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<uint8_t>(value >> shift));
}

std::vector<uint8_t> Head(uint8_t what) {
  std::vector<uint8_t> out(kMagic.size() + 4);
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  out[kMagic.size()] = what;
  return out;
}

std::vector<uint8_t> Part(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

std::string_view AttestStatusName(AttestStatus status) {
  switch (status) {
    case AttestStatus::kOk:
      return "ok";
    case AttestStatus::kMalformed:
      return "malformed";
    case AttestStatus::kNotGiven:
      return "not given by the policy";
    case AttestStatus::kRate:
      return "over the policy's rate";
    case AttestStatus::kNoField:
      return "no such field on this platform";
    case AttestStatus::kFailed:
      return "the platform failed";
  }
  return "unknown";
}

tl::expected<AttestRequest, AttestStatus> ParseAttestRequest(std::span<const uint8_t> message) {
  const auto malformed = tl::make_unexpected(AttestStatus::kMalformed);
  if (message.size() < kAttestHead || message.size() > kMaxAttestRequest) return malformed;
  if (!std::equal(kMagic.begin(), kMagic.end(), message.begin())) return malformed;
  if (message[5] != 0 || message[6] != 0 || message[7] != 0) return malformed;
  AttestRequest request;
  const uint32_t first = ReadU32(message, 8);
  const uint32_t nonce = ReadU32(message, 12);
  const uint32_t key = ReadU32(message, 16);
  if (message[4] == static_cast<uint8_t>(AttestVerb::kRandom)) {
    const bool good = first >= 1 && first <= kMaxAttestRandom && nonce == 0 && key == 0;
    if (!good || message.size() != kAttestHead) return malformed;
    request.count = first;
    return request;
  }
  if (message[4] != static_cast<uint8_t>(AttestVerb::kAttest)) return malformed;
  // Each is bounded before they are added up.
  if (first > kMaxAttestBytes || nonce > kMaxAttestNonce || key > kMaxAttestKey) return malformed;
  if (message.size() != kAttestHead + first + nonce + key) return malformed;
  request.verb = AttestVerb::kAttest;
  request.bytes = Part(message.subspan(kAttestHead, first));
  request.nonce = Part(message.subspan(kAttestHead + first, nonce));
  request.public_key = Part(message.subspan(kAttestHead + first + nonce, key));
  return request;
}

std::vector<uint8_t> AttestRequestBytes(const AttestRequest& request) {
  std::vector<uint8_t> out = Head(static_cast<uint8_t>(request.verb));
  PutU32(out, request.verb == AttestVerb::kRandom ? request.count : request.bytes.size());
  PutU32(out, request.nonce.size());
  PutU32(out, request.public_key.size());
  for (const auto* part : {&request.bytes, &request.nonce, &request.public_key}) {
    out.insert(out.end(), part->begin(), part->end());
  }
  return out;
}

std::vector<uint8_t> AttestAnswerBytes(AttestStatus status, std::span<const uint8_t> payload) {
  std::vector<uint8_t> out = Head(static_cast<uint8_t>(status));
  PutU32(out, payload.size());
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

}  // namespace bulkhead
