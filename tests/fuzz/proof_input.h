// SPDX-License-Identifier: Apache-2.0
// What must hold for the proof of any small filter against any small plan. Shared by the fuzz
// target and the test that replays its corpus.
#pragma once

#include <cstdint>
#include <string_view>

namespace bulkhead::testing {

enum class ProofOutcome : uint8_t {
  kRefused,    // the filter has a defect, or the plan is none
  kUndecided,  // more nodes or steps than a proof may take
  kProved,     // and so it is on all calls that were tried
  kDisproved,  // by a call on which they do differ
};

// Aborts when something does not hold.
ProofOutcome TryProofInput(std::string_view input);

}  // namespace bulkhead::testing
