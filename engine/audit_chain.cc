// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_chain.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace bulkhead {
namespace {

constexpr std::string_view kPrevKey = ",\"prev\":\"";
constexpr std::string_view kHashKey = ",\"hash\":\"";
constexpr std::string_view kStartLabel{"bulkhead audit v1\0", 18};
constexpr size_t kHexSize = 96;
constexpr size_t kHashFieldSize = kHashKey.size() + kHexSize + 2;  // ,"hash":"…"}
constexpr size_t kPrevFieldSize = kPrevKey.size() + kHexSize + 1;  // ,"prev":"…"

Digest LinkHash(const Digest& prev, std::string_view unhashed) {
  std::string bytes(reinterpret_cast<const char*>(prev.data()), prev.size());
  bytes += unhashed;
  return Sha384(bytes);
}

// The raw text between `key` and the next quote. Quotes inside values are escaped, so a key with
// its quotes and colon is found only where the canonical form has it.
std::string_view Between(std::string_view line, std::string_view key, char end) {
  const size_t found = line.find(key);
  if (found == std::string_view::npos) return {};
  const std::string_view rest = line.substr(found + key.size());
  return rest.substr(0, rest.find(end));
}

uint64_t Decimal(std::string_view digits) {
  uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  return error == std::errc() && stop == end ? value : 0;
}

}  // namespace

ChainPoint ChainStart(const Digest& bundle, std::string_view boot) {
  std::string bytes(kStartLabel);
  bytes.append(reinterpret_cast<const char*>(bundle.data()), bundle.size());
  bytes += boot;
  return {0, Sha384(bytes)};
}

ChainedLine Link(const ChainPoint& point, Event event) {
  event.sequence = point.sequence + 1;
  std::string line = EncodeEvent(event);
  line.append(kPrevKey).append(Hex(point.head)).append("\"}");
  const Digest hash = LinkHash(point.head, line);
  line.pop_back();
  line.append(kHashKey).append(Hex(hash)).append("\"}\n");
  return {std::move(line), {event.sequence, hash}};
}

struct ChainVerifier::Record {
  std::string_view line;
  uint64_t sequence = 0;
  Digest prev{};
  Digest hash{};
  std::string unhashed;
};

// Only what the canonical form fixes; the content is covered by the hash.
std::optional<ChainVerifier::Record> ChainVerifier::Parse(std::string_view line) {
  if (line.size() < kPrevFieldSize + kHashFieldSize || line.size() >= kMaxEventLine) return {};
  if (!line.starts_with("{\"seq\":") || !line.ends_with("\"}")) return {};
  const size_t hash_at = line.size() - kHashFieldSize;
  const size_t prev_at = hash_at - kPrevFieldSize;
  if (line.substr(hash_at, kHashKey.size()) != kHashKey) return {};
  if (line.substr(prev_at, kPrevKey.size()) != kPrevKey || line[hash_at - 1] != '"') return {};
  const auto prev = ParseDigest(line.substr(prev_at + kPrevKey.size(), kHexSize));
  const auto hash = ParseDigest(line.substr(hash_at + kHashKey.size(), kHexSize));
  if (!prev || !hash) return {};
  const uint64_t sequence = Decimal(Between(line, "{\"seq\":", ','));
  return Record{line, sequence, *prev, *hash, std::string(line.substr(0, hash_at)) + '}'};
}

ChainVerifier::ChainVerifier(std::optional<ChainPoint> after) {
  if (!after) return;
  summary_.last = *after;
  summary_.segments.emplace_back();
  summary_.segments.back().first_line = 1;
}

tl::unexpected<ChainBreak> ChainVerifier::Fail(std::string what) const {
  return tl::unexpected(ChainBreak{line_, summary_.last.sequence + 1, std::move(what)});
}

tl::expected<void, ChainBreak> ChainVerifier::Feed(std::string_view line) {
  ++line_;
  const auto record = Parse(line);
  if (!record) {
    if (torn_) return Fail("two unfinished lines in a row");
    torn_ = true;
    ++summary_.torn_lines;
    return {};
  }
  if (LinkHash(record->prev, record->unhashed) != record->hash) {
    return Fail("the hash does not fit the record");
  }
  const bool starts = record->sequence == 1;
  if (torn_ && !starts) return Fail("an unfinished or malformed line inside a run");
  torn_ = false;
  if (starts) {
    if (auto started = StartSegment(*record); !started) return started;
  }
  return Accept(*record);
}

tl::expected<void, ChainBreak> ChainVerifier::StartSegment(const Record& record) {
  if (Between(record.line, ",\"action\":\"", '"') != kLogOpen) {
    return Fail("a run starts with something else than log-open");
  }
  ChainSegment segment;
  segment.bundle = Between(record.line, ",\"object\":\"", '"');
  segment.boot = Between(record.line, ",\"boot\":\"", '"');
  segment.first_line = line_;
  const auto bundle = ParseDigest(segment.bundle);
  if (!bundle) return Fail("log-open names no bundle digest");
  summary_.last = ChainStart(*bundle, segment.boot);
  summary_.segments.push_back(std::move(segment));
  return {};
}

tl::expected<void, ChainBreak> ChainVerifier::Accept(const Record& record) {
  if (summary_.segments.empty()) return Fail("the log does not begin with the start of a run");
  if (record.sequence != summary_.last.sequence + 1) {
    return Fail("sequence " + std::to_string(record.sequence) + " found, " +
                std::to_string(summary_.last.sequence + 1) + " expected");
  }
  if (record.prev != summary_.last.head) return Fail("prev is not the hash of the record before");
  ChainSegment& segment = summary_.segments.back();
  if (segment.closed) return Fail("a record after log-close");
  summary_.last = {record.sequence, record.hash};
  ++summary_.records;
  ++segment.records;
  segment.closed = Between(record.line, ",\"action\":\"", '"') == kLogClose;
  if (Between(record.line, ",\"kind\":\"", '"') == EventKindName(EventKind::kLoss)) {
    segment.lost += Decimal(Between(record.line, ",\"count\":", ','));
  }
  return {};
}

tl::expected<ChainSummary, ChainBreak> ChainVerifier::Finish() {
  if (summary_.records == 0) return Fail("the log holds no whole record");
  return summary_;
}

namespace {

// Splits what it is given into lines, holding at most one of the longest length.
class LineFeeder {
 public:
  explicit LineFeeder(ChainVerifier& verifier) : verifier_(verifier) {}
  tl::expected<void, ChainBreak> Take(std::string_view bytes) {
    for (const char c : bytes) {
      if (c != '\n') {
        if (line_.size() < kMaxEventLine) line_ += c;
        continue;
      }
      if (auto fed = verifier_.Feed(line_); !fed) return fed;
      line_.clear();
    }
    return {};
  }
  // A last line without its end is unfinished, whatever it holds.
  tl::expected<void, ChainBreak> End() {
    if (line_.empty()) return {};
    return verifier_.Feed(line_ + "\n");
  }

 private:
  ChainVerifier& verifier_;
  std::string line_;
};

}  // namespace

tl::expected<ChainSummary, ChainBreak> VerifyChain(const std::string& path,
                                                   std::optional<ChainPoint> after) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return tl::unexpected(ChainBreak{0, 0, path + ": " + ErrnoName(errno)});
  ChainVerifier verifier(after);
  LineFeeder feeder(verifier);
  std::string buffer(kMaxEventLine, '\0');
  tl::expected<void, ChainBreak> fed;
  ssize_t got = 0;
  while (fed && (got = read(fd, buffer.data(), buffer.size())) > 0) {
    fed = feeder.Take(std::string_view(buffer.data(), static_cast<size_t>(got)));
  }
  const int error = got < 0 ? errno : 0;
  close(fd);
  if (error != 0) return tl::unexpected(ChainBreak{0, 0, path + ": " + ErrnoName(error)});
  if (fed) fed = feeder.End();
  if (!fed) return tl::unexpected(fed.error());
  return verifier.Finish();
}

}  // namespace bulkhead
