// SPDX-License-Identifier: Apache-2.0
// A Nitro attestation document (COSE_Sign1 of RFC 9052, ES384, an array with or without tag 18),
// checked up to a root certificate that the caller trusts. The document's own field of the user is
// judged by the caller (cli/attest_judge.h). By libcrypto. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/digest.h"

namespace bulkhead {

inline constexpr size_t kMaxDocument = 32768;  // bytes

struct NitroDocument {
  std::string module_id;
  uint64_t timestamp = 0;                             // ms since 1970, as the module says
  std::map<uint64_t, Digest> pcrs;                    // locked ones
  std::vector<uint8_t> user_data, nonce, public_key;  // empty: null
};

// Whether the first thing in it is a certificate in PEM.
bool IsPemCertificate(const std::string& text);

// The error says what is wrong: form, chain or signature. `root` is PEM; the certificates must be
// valid at `now`, seconds since 1970.
tl::expected<NitroDocument, std::string> CheckNitroDocument(std::span<const uint8_t> document,
                                                            const std::string& root, int64_t now);

}  // namespace bulkhead
