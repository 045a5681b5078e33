// SPDX-License-Identifier: Apache-2.0
// The hash chain of an audit log, as its writer makes it. A line is a canonical event with "prev"
// and "hash" at its end, and
//     hash = SHA-384(48 bytes of prev || the line without its hash field)
// The chain of one supervisor run starts with a "log-open" event of sequence 1 whose object is the
// bundle's digest and whose prev is SHA-384("bulkhead audit v1\0" || digest || boot id): a chain
// cannot be moved under another policy or another boot.
//
// What the log says of itself (log-open, log-reopen, log-gap, checkpoint, log-close) is signed by
// the run's key, over prev and the line: whoever owns the disk can hash anew, but not sign anew.
// There is one at least every kSignedRecords records and kSignedTime, so what is cut off or written
// anew behind the last is little. docs/AUDIT.md is normative. Single-threaded values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/audit_key.h"
#include "engine/event.h"
#include "profiles/digest.h"

namespace bulkhead {

inline constexpr std::string_view kLogOpen = "log-open";
inline constexpr std::string_view kLogClose = "log-close";
inline constexpr std::string_view kLogReopen = "log-reopen";
inline constexpr std::string_view kLogGap = "log-gap";
inline constexpr std::string_view kCheckpoint = "checkpoint";

// Between two signed records stand at most so many that are not, and none of them is so much later
// (ns, of the boot clock) than the first of them.
inline constexpr uint64_t kSignedRecords = 1000;
inline constexpr uint64_t kSignedTime = 10000000000;

struct ChainPoint {
  uint64_t sequence = 0;
  Digest head{};  // hash of that record
  bool operator==(const ChainPoint&) const = default;
};

ChainPoint ChainStart(const Digest& bundle, std::string_view boot);

// The hash of a record whose line, without its hash field, is `unhashed`.
Digest LinkHash(const Digest& prev, std::string_view unhashed);

// What the signature of a record is over: `text` is the line up to its prev field, with nothing
// between the quotes of its signature.
std::string SignedMessage(const Digest& prev, std::string_view text);

// The line, newline included, of `event` as the next after `point`, which moves on to it only when
// the caller stores `next`.
struct ChainedLine {
  std::string line;
  ChainPoint next;
};
ChainedLine Link(const ChainPoint& point, Event event);
ChainedLine LinkSigned(const ChainPoint& point, Event event, const AuditKey& key);

// The fields that are at a fixed place in a line.
inline constexpr std::string_view kPrevField = ",\"prev\":\"";
inline constexpr std::string_view kHashField = ",\"hash\":\"";
inline constexpr std::string_view kSignatureName = "signature";
inline constexpr std::string_view kSignatureField = ",\"signature\":\"";

}  // namespace bulkhead
