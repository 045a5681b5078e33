// SPDX-License-Identifier: Apache-2.0
// Signatures of an audit log, by libcrypto: another implementation than the runtime's that made
// them. Pure, thread-safe.
#pragma once

#include <string_view>

#include "engine/audit_key.h"

namespace bulkhead {

// Ed25519 (RFC 8032). False for a key that is none, too.
bool SignatureFits(const PublicKey& key, std::string_view message, const Signature& signature);

}  // namespace bulkhead
