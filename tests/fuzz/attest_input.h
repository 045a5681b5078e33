// SPDX-License-Identifier: Apache-2.0
// What must hold for anything that a component sends on its attestation socket, that a platform
// answers, and that stands in an event log. Shared by the fuzz target and the test that replays its
// seeds. The first byte says which.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/attest_protocol.h"
#include "engine/cbor.h"
#include "engine/event_log.h"
#include "engine/nsm.h"
#include "engine/tpm.h"

namespace bulkhead::testing {

inline void MustHold(bool holds) {
  if (!holds) std::abort();
}

inline bool TryRequest(std::span<const uint8_t> bytes) {
  const auto request = ParseAttestRequest(bytes);
  if (!request) return false;
  MustHold(request->bytes.size() <= kMaxAttestBytes);
  MustHold(request->nonce.size() <= kMaxAttestNonce);
  MustHold(request->public_key.size() <= kMaxAttestKey);
  MustHold(request->count <= kMaxAttestRandom);
  const auto again = AttestRequestBytes(*request);
  MustHold(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
  return true;
}

inline bool TryPlatformAnswer(std::span<const uint8_t> bytes) {
  CborReader reader(bytes);
  const bool skipped = reader.Skip();
  MustHold(reader.rest().size() <= bytes.size());
  const auto found = ReadNsmRegister(bytes);
  const auto extended = ReadNsmExtended(bytes);
  const auto document = ReadNsmDocument(bytes);
  const auto random = ReadNsmRandom(bytes);
  const int kinds = (found ? 1 : 0) + (extended ? 1 : 0) + (document ? 1 : 0) + (random ? 1 : 0);
  MustHold(kinds <= 1);  // no answer is one to two questions
  // Whatever is an answer is one whole item.
  if (kinds == 1 || ReadNsmLocked(bytes)) MustHold(skipped && reader.AtEnd());
  if (document) MustHold(document->size() < bytes.size());
  const auto tpm = ReadTpmRegister(bytes, 14);
  if (tpm) MustHold(kinds == 0 && bytes.size() == 78);
  return kinds == 1 || tpm.has_value() || ReadNsmLocked(bytes).has_value();
}

inline bool TryEventLog(std::string_view text) {
  const auto events = ReadEventLog(text);
  if (!events) return false;
  std::string again;
  for (const MeasuredEvent& event : *events) again += EventLine(event);
  // A line that says version 1 may leave it out.
  MustHold(again.size() <= text.size());
  const auto second = ReadEventLog(again);
  MustHold(second.has_value() && *second == *events);
  MustHold(Replay(*events) == Replay(*second));
  const LogJudgement judgement = JudgeEvents(*events);
  MustHold(judgement.bundles.size() + judgement.restarts + judgement.foreign +
               judgement.foreign_after <=
           events->size());
  return true;
}

// Aborts when something does not hold. True: it was one.
inline bool TryAttestInput(std::string_view input) {
  if (input.empty()) return false;
  const std::string_view rest = input.substr(1);
  const std::span bytes(reinterpret_cast<const uint8_t*>(rest.data()), rest.size());
  switch (input[0]) {
    case 'r':
      return TryRequest(bytes);
    case 'l':
      return TryEventLog(rest);
    default:
      return TryPlatformAnswer(bytes);
  }
}

}  // namespace bulkhead::testing
