// SPDX-License-Identifier: Apache-2.0
// What the arguments of a refused call point to: paths and socket addresses, as far as they tell
// what was tried. The process may change them before, while and after they are read: what is found
// is what it claims, and decides nothing. Pure, thread-safe.
#pragma once

#include <array>
#include <string>

#include "profiles/arch.h"
#include "profiles/filter.h"
#include "sandbox/broker_worker.h"

namespace bulkhead {

using Pieces = std::array<BrokerRequest::Piece, kMaxPieces>;

// What is to be read; all of size 0 where the call points to nothing of the kind.
Pieces PiecesOf(Arch arch, const SeccompData& call);

// "/etc/shadow", "/a /b", "vsock:3:9001"; empty if nothing could be read.
std::string DescribePieces(const Pieces& pieces, const BrokerReply& reply);

}  // namespace bulkhead
