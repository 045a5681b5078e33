// SPDX-License-Identifier: Apache-2.0
// What a relying party computes again: how a register takes a measurement, and how user data says
// who asked for a document. docs/ATTESTATION.md is normative. Pure, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "profiles/digest.h"

namespace bulkhead {

// A register after it has taken `data`: SHA-384(old || data). Nitro PCRs, TDX RTMRs and the SHA-384
// bank of a TPM alike.
Digest Extended(const Digest& old, std::span<const uint8_t> data);

// Of a register that was zero and took the bundle's digest alone.
Digest PolicyRegister(const Digest& bundle);

// The user data of every document that a component asks for:
//   SHA-384("bulkhead attest v1\0" || u32 length + component || 48-byte bundle digest ||
//           u32 length + bytes)
// Lengths are little endian, as in a bundle.
Digest BoundUserData(std::string_view component, const Digest& bundle,
                     std::span<const uint8_t> bytes);

// The user data of the document that a supervisor itself asks for at boot, about the key that signs
// its audit log: SHA-384("bulkhead audit key v1\0" || 48-byte bundle digest || 32-byte key). No
// component's has this beginning, so none can have another key vouched for.
Digest AuditKeyUserData(const Digest& bundle, std::span<const uint8_t> key);

// The report data of a TDX quote: the user data and 16 zeros.
std::array<uint8_t, 64> ReportData(const Digest& user_data);

}  // namespace bulkhead
