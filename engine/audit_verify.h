// SPDX-License-Identifier: Apache-2.0
// The reader of an audit log's chain: says whether every record follows from the one before, which
// of them the run's key vouches for, and where it breaks. Who only has the log can ask whether it
// is whole; who also has the public key, which the supervisor printed at boot, can ask whether it
// is the supervisor's. docs/AUDIT.md is normative. Single-threaded values.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "engine/audit_chain.h"

namespace bulkhead {

using SignatureCheck = bool (*)(const PublicKey& key, std::string_view message,
                                const Signature& signature);

struct ChainTrust {
  SignatureCheck check = nullptr;  // null: signatures are not looked at
  std::vector<PublicKey> keys;     // empty: each run is taken at its word about its key
  // As the receiver of a stream wrote it: where a connection broke a line may be torn, and what may
  // not have arrived was sent again (engine/audit_stream.h).
  bool stream = false;
  // What was before the first record is gone, as the oldest file of a rotated log: it is taken at
  // its word about where it continues.
  bool partial = false;
  // The last run must have been closed.
  bool closed = false;
};

struct ChainSegment {  // one run of a supervisor
  std::string bundle;  // digest, 96 hexadecimal digits
  std::string boot;
  std::string key;  // the public half, 64 hexadecimal digits; empty: the run is not signed
  size_t first_file = 0;
  uint64_t first_line = 0;
  uint64_t records = 0;
  uint64_t events = 0;           // that its records stand for, but for what the log says of itself
  uint64_t lost = 0;             // events that its loss records count
  uint64_t signed_records = 0;   // whose signature is good
  uint64_t signed_sequence = 0;  // of the last one of these: up to it the run is complete
  bool closed = false;           // its last record says that the log was closed
  bool operator==(const ChainSegment&) const = default;
};

struct ChainSummary {
  uint64_t records = 0;
  uint64_t torn_lines = 0;  // lines that are no record, where a run or a connection ended
  uint64_t repeated = 0;    // records that were sent again
  uint64_t missing = 0;     // records of the first run before the first one here; if partial
  ChainPoint last;
  std::vector<ChainSegment> segments;
  // Whether the beginning of the last run is here, or one of its files from the first line on.
  bool LastRunBegins() const { return missing == 0 || segments.size() > 1; }
  bool operator==(const ChainSummary&) const = default;
};

struct ChainBreak {
  size_t file = 0;        // from 0, as they were given
  uint64_t line = 0;      // from 1
  uint64_t sequence = 0;  // the one expected there
  std::string what;
  bool key = false;  // the chain is whole so far; it is another's than was asked for
};

// The last records of a stream, as many as may be sent again: AuditStream::kSentAgain bytes.
class RecentRecords {
 public:
  bool Has(const ChainPoint& record) const;
  void Add(const ChainPoint& record);

 private:
  std::deque<ChainPoint> records_;
};

// Feeds on lines in order. With `after`, the first line must continue there.
class ChainVerifier {
 public:
  explicit ChainVerifier(std::optional<ChainPoint> after = std::nullopt, ChainTrust trust = {});
  tl::expected<void, ChainBreak> Feed(std::string_view line);  // without its newline
  void NextFile();                                             // the one that was begun after it
  tl::expected<ChainSummary, ChainBreak> Finish();

  // A record, whatever stands before it: of its form, with the hash of its own content.
  static bool IsWhole(std::string_view line);

 private:
  struct Record;
  struct Place {
    size_t file = 0;
    uint64_t line = 0;
  };
  static std::optional<Record> Parse(std::string_view line);
  tl::expected<void, ChainBreak> Accept(const Record& record);
  tl::expected<void, ChainBreak> StartSegment(const Record& record);
  tl::expected<void, ChainBreak> EndSegment() const;
  void ContinueFrom(const ChainPoint& point);
  tl::expected<void, ChainBreak> TakeKey(const Record& record);
  tl::expected<void, ChainBreak> CheckSignature(const Record& record);
  tl::expected<void, ChainBreak> CheckClose(const Record& record);
  tl::expected<void, ChainBreak> CheckUnsigned(const Record& record);
  tl::unexpected<ChainBreak> Fail(const std::string& what) const { return FailAt(place_, what); }
  tl::unexpected<ChainBreak> FailKey(const std::string& what) const;
  tl::unexpected<ChainBreak> FailAt(const Place& place, const std::string& what) const;

  ChainTrust trust_;
  ChainSummary summary_;
  Place place_;
  std::optional<Place> torn_;      // the last line was unfinished: only a new run may follow
  RecentRecords recent_;           // of a stream
  bool from_start_ = true;         // the segment's beginning was seen
  PublicKey key_{};                // of the segment
  std::set<std::string> keys_;     // of all segments so far
  uint64_t opened_ = 0;            // time of the segment's log-open
  uint64_t unsigned_records_ = 0;  // since the last signed one
  uint64_t unsigned_since_ = 0;    // time of the first of them
};

// The record that a line is; of a stream, whose connection may have broken in the line before, that
// in which it ends, if it began as one. Empty: none that the verifier would take for one.
std::string_view WholeRecordIn(std::string_view line);

// Checks files, the oldest first, reading them line by line. One that cannot be read is a break at
// its line 0.
tl::expected<ChainSummary, ChainBreak> VerifyChain(std::span<const std::string> paths,
                                                   ChainTrust trust = {},
                                                   std::optional<ChainPoint> after = std::nullopt);
tl::expected<ChainSummary, ChainBreak> VerifyChain(const std::string& path,
                                                   std::optional<ChainPoint> after = std::nullopt);

// 64 hexadecimal digits in lower case, with or without `ed25519:` in front.
std::optional<PublicKey> ParsePublicKey(std::string_view text);

}  // namespace bulkhead
