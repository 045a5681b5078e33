// SPDX-License-Identifier: Apache-2.0
// The log of what was measured into a register that can't be locked, in the form that dstack's
// guests write (their cc-eventlog, runtime_events.rs): one JSON object a line,
//   {"event":"NAME","payload":"BASE64","version":2}
// An event extends the register by its digest, SHA-384 of
//   version 2: {"event":"NAME","event_type":134217729,"payload":"HEX","version":2}
//   version 1 (no "version"): 134217729 as 4 little endian bytes || ":" || NAME || ":" || payload
// Bulkhead writes version 2 and reads both, as others may have measured before it. The log proves
// nothing by itself: it is replayed and compared with the register. Pure, thread-safe.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/digest.h"

namespace bulkhead {

// Names of the events that bulkhead measures.
inline constexpr std::string_view kEventBundle = "bulkhead-bundle";         // the bundle's digest
inline constexpr std::string_view kEventBoundary = "bulkhead-boundary";     // the enclave's name
inline constexpr std::string_view kEventRestarted = "bulkhead-restarted";   // the bundle's digest
inline constexpr std::string_view kEventAuditHead = "bulkhead-audit-head";  // the log's last hash
inline constexpr std::string_view kEventAuditKey = "bulkhead-audit-key";    // 32 bytes, each run's
// Of a TPM, whose register others have used before: the value that was found.
inline constexpr std::string_view kEventFound = "bulkhead-found";

struct MeasuredEvent {
  std::string name;
  std::vector<uint8_t> payload;
  uint32_t version = 2;
  bool operator==(const MeasuredEvent&) const = default;
};

std::string Base64(std::span<const uint8_t> bytes);
// The one text that Base64 writes for the bytes.
std::optional<std::vector<uint8_t>> FromBase64(std::string_view text);

inline constexpr size_t kMaxEventLog = 1U << 20;  // bytes
inline constexpr size_t kMaxEventName = 256;

Digest EventDigest(const MeasuredEvent& event);
// With the end of the line. The name is of printable ASCII without `"` and `\`.
std::string EventLine(const MeasuredEvent& event);

// The error names the line.
tl::expected<std::vector<MeasuredEvent>, std::string> ReadEventLog(std::string_view text);

// What a register that held `start` holds after these.
Digest Replay(std::span<const MeasuredEvent> events, Digest start = {});

// What a replayed log says about a bundle.
struct LogJudgement {
  std::vector<Digest> bundles;  // of every bundle event, in order
  bool boundary = false;        // directly behind the first bundle event
  std::string enclave;          // that it names
  size_t restarts = 0;
  size_t foreign = 0;                            // events of others before the boundary
  size_t foreign_after = 0;                      // and after it
  std::vector<std::vector<uint8_t>> audit_keys;  // of each run that measured its own
};
LogJudgement JudgeEvents(std::span<const MeasuredEvent> events);

}  // namespace bulkhead
