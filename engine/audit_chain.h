// SPDX-License-Identifier: Apache-2.0
// The hash chain of an audit log, for the writer and for the reader. A line is a canonical event
// with "prev" and "hash" at its end, and
//     hash = SHA-384(48 bytes of prev || the line without its hash field)
// The chain of one supervisor run starts with a "log-open" event of sequence 1 whose object is the
// bundle's digest and whose prev is SHA-384("bulkhead audit v1\0" || digest || boot id): a chain
// cannot be moved under another policy or another boot. docs/AUDIT.md is normative. What the chain
// alone cannot show is a missing end: signed checkpoints are for that. Single-threaded values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "engine/event.h"
#include "profiles/digest.h"

namespace bulkhead {

inline constexpr std::string_view kLogOpen = "log-open";
inline constexpr std::string_view kLogClose = "log-close";
inline constexpr std::string_view kLogReopen = "log-reopen";

struct ChainPoint {
  uint64_t sequence = 0;
  Digest head{};  // hash of that record
  bool operator==(const ChainPoint&) const = default;
};

ChainPoint ChainStart(const Digest& bundle, std::string_view boot);

// The line, newline included, of `event` as the next after `point`, which moves on to it only when
// the caller stores `next`.
struct ChainedLine {
  std::string line;
  ChainPoint next;
};
ChainedLine Link(const ChainPoint& point, Event event);

struct ChainSegment {  // one run of a supervisor
  std::string bundle;  // digest, 96 hexadecimal digits
  std::string boot;
  uint64_t first_line = 0;
  uint64_t records = 0;
  uint64_t lost = 0;    // events that its loss records count
  bool closed = false;  // its last record says that the log was closed
  bool operator==(const ChainSegment&) const = default;
};

struct ChainSummary {
  uint64_t records = 0;
  uint64_t torn_lines = 0;  // unfinished lines where a run ended: a crash, or a cut
  ChainPoint last;
  std::vector<ChainSegment> segments;
  bool operator==(const ChainSummary&) const = default;
};

struct ChainBreak {
  uint64_t line = 0;      // from 1
  uint64_t sequence = 0;  // the one expected there
  std::string what;
};

// Feeds on lines in order. With `after`, the first line must continue there: a rotated file.
class ChainVerifier {
 public:
  explicit ChainVerifier(std::optional<ChainPoint> after = std::nullopt);
  tl::expected<void, ChainBreak> Feed(std::string_view line);  // without its newline
  tl::expected<ChainSummary, ChainBreak> Finish();

 private:
  struct Record;
  static std::optional<Record> Parse(std::string_view line);
  tl::expected<void, ChainBreak> Accept(const Record& record);
  tl::expected<void, ChainBreak> StartSegment(const Record& record);
  tl::unexpected<ChainBreak> Fail(std::string what) const;

  ChainSummary summary_;
  uint64_t line_ = 0;
  bool torn_ = false;  // the last line was unfinished: only a new run may follow
};

// Checks a whole file, reading it line by line. A file that cannot be read is a break at line 0.
tl::expected<ChainSummary, ChainBreak> VerifyChain(const std::string& path,
                                                   std::optional<ChainPoint> after = std::nullopt);

}  // namespace bulkhead
