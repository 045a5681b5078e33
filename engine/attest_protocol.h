// SPDX-License-Identifier: Apache-2.0
// What a component says on its attestation socket (SOCK_SEQPACKET) and what it is answered: one
// message each. Integers are little endian.
//
// Request, at most kMaxAttestRequest bytes:
//   0 "BHA1"   4 verb (1 random, 2 attest)   5 three zeros
//   8 u32: of random how many bytes are wanted, 1 to 256; of attest the length of the bytes to bind
//   12 u32 length of the nonce   16 u32 length of the public key   20 bytes, nonce, key
// Answer:
//   0 "BHA1"   4 status   5 three zeros   8 u32 length   12 the document, or the random bytes
// docs/ATTESTATION.md is normative. Pure, thread-safe.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace bulkhead {

enum class AttestVerb : uint8_t { kRandom = 1, kAttest = 2 };

enum class AttestStatus : uint8_t {
  kOk = 0,
  kMalformed = 1,  // no request, or one with a field that is too long
  kNotGiven = 2,   // the policy gives it no such verb, or no key
  kRate = 3,       // more than the policy's rate
  kNoField = 4,    // this platform's documents have no such field
  kFailed = 5,     // the platform did not answer; see the audit log
};
std::string_view AttestStatusName(AttestStatus status);

inline constexpr size_t kMaxAttestBytes = 1024;
inline constexpr size_t kMaxAttestNonce = 512;
inline constexpr size_t kMaxAttestKey = 1024;
inline constexpr uint32_t kMaxAttestRandom = 256;
inline constexpr size_t kAttestHead = 20;
inline constexpr size_t kMaxAttestRequest =
    kAttestHead + kMaxAttestBytes + kMaxAttestNonce + kMaxAttestKey;

struct AttestRequest {
  AttestVerb verb = AttestVerb::kRandom;
  uint32_t count = 0;  // kRandom
  std::vector<uint8_t> bytes, nonce, public_key;
  bool operator==(const AttestRequest&) const = default;
};

tl::expected<AttestRequest, AttestStatus> ParseAttestRequest(std::span<const uint8_t> message);
std::vector<uint8_t> AttestRequestBytes(const AttestRequest& request);
std::vector<uint8_t> AttestAnswerBytes(AttestStatus status, std::span<const uint8_t> payload = {});

}  // namespace bulkhead
