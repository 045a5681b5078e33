// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_verify.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "engine/line_log.h"

namespace bulkhead {
namespace {

constexpr std::string_view kRecordBegins = "{\"seq\":";
constexpr size_t kHexSize = 96;
// More than a stream sends again, of over 400 bytes a line.
constexpr size_t kRecent = 2048;
constexpr size_t kHashFieldSize = kHashField.size() + kHexSize + 2;  // ,"hash":"…"}
constexpr size_t kPrevFieldSize = kPrevField.size() + kHexSize + 1;  // ,"prev":"…"

// The raw text between `key` and the next `end`. Quotes inside values are escaped, so a key with
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

// "12.000000345" as nanoseconds.
uint64_t Nanoseconds(std::string_view time) {
  const size_t point = time.find('.');
  if (point == std::string_view::npos) return 0;
  return Decimal(time.substr(0, point)) * 1000000000 + Decimal(time.substr(point + 1));
}

template <size_t kSize>
std::optional<std::array<uint8_t, kSize>> ParseHex(std::string_view hex) {
  std::array<uint8_t, kSize> bytes{};
  if (hex.size() != 2 * kSize) return std::nullopt;
  if (hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  for (size_t i = 0; i < kSize; ++i) {
    std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, bytes[i], 16);
  }
  return bytes;
}

bool IsOwn(std::string_view action) {
  return action == kLogOpen || action == kLogReopen || action == kLogGap || action == kCheckpoint ||
         action == kLogClose;
}

}  // namespace

struct ChainVerifier::Record {
  std::string_view line;
  std::string_view text;  // up to its prev field
  uint64_t sequence = 0;
  Digest prev{};
  Digest hash{};
  std::string unhashed;

  std::string_view Value(std::string_view key) const { return Between(line, key, '"'); }
  std::string_view action() const { return Value(",\"action\":\""); }
  uint64_t count() const { return Decimal(Between(line, ",\"count\":", ',')); }
  uint64_t time() const { return Nanoseconds(Value(",\"time\":\"")); }
  // Of those that the log writes about itself.
  bool own() const {
    return Value(",\"component\":\"").empty() && Value(",\"control\":\"") == "supervisor" &&
           IsOwn(action());
  }
};

// Only what the canonical form fixes; the content is covered by the hash.
std::optional<ChainVerifier::Record> ChainVerifier::Parse(std::string_view line) {
  if (line.size() < kPrevFieldSize + kHashFieldSize || line.size() >= kMaxEventLine) return {};
  if (!line.starts_with(kRecordBegins) || !line.ends_with("\"}")) return {};
  const size_t hash_at = line.size() - kHashFieldSize;
  const size_t prev_at = hash_at - kPrevFieldSize;
  if (line.substr(hash_at, kHashField.size()) != kHashField) return {};
  if (line.substr(prev_at, kPrevField.size()) != kPrevField || line[hash_at - 1] != '"') return {};
  const auto prev = ParseDigest(line.substr(prev_at + kPrevField.size(), kHexSize));
  const auto hash = ParseDigest(line.substr(hash_at + kHashField.size(), kHexSize));
  if (!prev || !hash) return {};
  const uint64_t sequence = Decimal(Between(line, kRecordBegins, ','));
  return Record{line,     line.substr(0, prev_at),
                sequence, *prev,
                *hash,    std::string(line.substr(0, hash_at)) + '}'};
}

ChainVerifier::ChainVerifier(std::optional<ChainPoint> after, ChainTrust trust)
    : trust_(std::move(trust)) {
  if (after) ContinueFrom(*after);
}

void ChainVerifier::ContinueFrom(const ChainPoint& point) {
  from_start_ = false;
  summary_.last = point;
  summary_.segments.emplace_back();
  summary_.segments.back().first_line = std::max<uint64_t>(place_.line, 1);
}

void ChainVerifier::NextFile() {
  ++place_.file;
  place_.line = 0;
}

tl::unexpected<ChainBreak> ChainVerifier::FailAt(const Place& place,
                                                 const std::string& what) const {
  return tl::unexpected(ChainBreak{place.file, place.line, summary_.last.sequence + 1, what});
}

tl::unexpected<ChainBreak> ChainVerifier::FailKey(const std::string& what) const {
  auto failed = Fail(what);
  failed.value().key = true;
  return failed;
}

tl::expected<void, ChainBreak> ChainVerifier::Feed(std::string_view line) {
  ++place_.line;
  auto record = Parse(line);
  if (trust_.stream && line.empty()) return {};
  if (trust_.stream && !IsWhole(line)) {
    // A connection broke here, and the next run of the supervisor did not know.
    const std::string_view glued = WholeRecordIn(line);
    if (!glued.empty()) record = Parse(glued);
    if (!glued.empty()) ++summary_.torn_lines;
  }
  if (!record) {
    // A connection that breaks again and again leaves several in a row.
    if (torn_ && !trust_.stream) {
      return FailAt(*torn_, "two unfinished or malformed lines in a row");
    }
    if (!torn_) torn_ = place_;
    ++summary_.torn_lines;
    return {};
  }
  const bool starts = record->sequence == 1;
  if (torn_ && !starts && !trust_.stream)
    return FailAt(*torn_,
                  "an unfinished or malformed line inside a run; a file that a receiver wrote is "
                  "judged with --stream");
  torn_.reset();
  if (LinkHash(record->prev, record->unhashed) != record->hash) {
    return Fail("the hash does not fit the record");
  }
  if (recent_.Has({record->sequence, record->hash})) {
    ++summary_.repeated;
    return {};
  }
  if (starts) {
    if (auto started = StartSegment(*record); !started) return started;
  } else if (trust_.partial && summary_.segments.empty()) {
    summary_.missing = record->sequence - 1;
    ContinueFrom({summary_.missing, record->prev});
    summary_.segments.back().boot = record->Value(",\"boot\":\"");
  }
  return Accept(*record);
}

bool RecentRecords::Has(const ChainPoint& record) const {
  return std::ranges::find(records_, record) != records_.end();
}

void RecentRecords::Add(const ChainPoint& record) {
  records_.push_back(record);
  if (records_.size() > kRecent) records_.pop_front();
}

// What is asked of a run that is over, as far as the log has it.
tl::expected<void, ChainBreak> ChainVerifier::EndSegment() const {
  if (summary_.segments.empty() || trust_.keys.empty()) return {};
  const ChainSegment& segment = summary_.segments.back();
  if (!segment.key.empty()) return {};
  auto failed =
      FailKey(summary_.LastRunBegins() ? "the run that begins here is not signed"
                                       : "the key of the run stands in a part that is not here");
  failed.value().file = segment.first_file;
  failed.value().line = segment.first_line;
  return failed;
}

tl::expected<void, ChainBreak> ChainVerifier::StartSegment(const Record& record) {
  if (!record.own() || record.action() != kLogOpen) {
    return Fail("a run starts with something else than log-open");
  }
  if (auto ended = EndSegment(); !ended) return ended;
  ChainSegment segment;
  segment.bundle = record.Value(",\"object\":\"");
  segment.boot = record.Value(",\"boot\":\"");
  segment.first_file = place_.file;
  segment.first_line = place_.line;
  const auto bundle = ParseDigest(segment.bundle);
  if (!bundle) return Fail("log-open names no bundle digest");
  const bool same_boot =
      !summary_.segments.empty() && summary_.segments.back().boot == segment.boot;
  if (same_boot && record.time() < opened_) {
    return Fail("the run before this one of the same boot was opened after it");
  }
  opened_ = record.time();
  summary_.last = ChainStart(*bundle, segment.boot);
  summary_.segments.push_back(std::move(segment));
  unsigned_records_ = 0;
  from_start_ = true;
  return {};
}

// The key that the run says is its own, at its beginning and in each new file.
tl::expected<void, ChainBreak> ChainVerifier::TakeKey(const Record& record) {
  ChainSegment& segment = summary_.segments.back();
  const std::string_view hex = record.Value("\"public_key\":\"");
  const auto key = ParseHex<std::tuple_size_v<PublicKey>>(hex);
  if (!hex.empty() && !key) return Fail("the public key is malformed");
  if (!segment.key.empty() && segment.key != hex) return Fail("the run's key has changed");
  const bool first = segment.key.empty();
  if (key) {
    segment.key = hex;
    key_ = *key;
  }
  if (!first) return {};
  if (key && !keys_.insert(segment.key).second) return Fail("a second run of the same key");
  if (trust_.keys.empty()) return {};
  if (!key) return FailKey("the run that begins here is not signed");
  if (std::find(trust_.keys.begin(), trust_.keys.end(), *key) == trust_.keys.end()) {
    return FailKey("the run that begins here is signed by another key, ed25519:" + segment.key);
  }
  return {};
}

tl::expected<void, ChainBreak> ChainVerifier::CheckSignature(const Record& record) {
  ChainSegment& segment = summary_.segments.back();
  const std::string_view hex = record.Value(kSignatureField);
  const auto signature = ParseHex<std::tuple_size_v<Signature>>(hex);
  if (!signature) return Fail(std::string(record.action()) + " is not signed");
  std::string text(record.text);
  text.erase(text.find(kSignatureField) + kSignatureField.size(), hex.size());
  if (trust_.check != nullptr &&
      !trust_.check(key_, SignedMessage(record.prev, text), *signature)) {
    return Fail("the signature does not fit the key");
  }
  unsigned_records_ = 0;
  ++segment.signed_records;
  segment.signed_sequence = record.sequence;
  return {};
}

// Everything that was made is in the records by then, or counted in one.
tl::expected<void, ChainBreak> ChainVerifier::CheckClose(const Record& record) {
  const uint64_t made = Decimal(record.Value("\"events\":\""));
  const uint64_t held = summary_.segments.back().events;
  if (!from_start_ || made == held) return {};
  return Fail(std::to_string(made) + " events were made, the records stand for " +
              std::to_string(held));
}

tl::expected<void, ChainBreak> ChainVerifier::CheckUnsigned(const Record& record) {
  if (unsigned_records_++ == 0) unsigned_since_ = record.time();
  if (unsigned_records_ > kSignedRecords) {
    return Fail(std::to_string(kSignedRecords) + " records without a signed one after them");
  }
  if (record.time() > unsigned_since_ && record.time() - unsigned_since_ > kSignedTime) {
    return Fail(std::to_string(kSignedTime / 1000000000) + " s without a signed record");
  }
  return {};
}

tl::expected<void, ChainBreak> ChainVerifier::Accept(const Record& record) {
  if (summary_.segments.empty()) {
    return Fail(record.action() == kLogReopen ? "the log goes on from an older file: give it by "
                                                "--rotated, or --partial where it is gone"
                                              : "the log does not begin with the start of a run");
  }
  if (record.sequence != summary_.last.sequence + 1) {
    return Fail("sequence " + std::to_string(record.sequence) + " found, " +
                std::to_string(summary_.last.sequence + 1) + " expected");
  }
  if (record.prev != summary_.last.head) return Fail("prev is not the hash of the record before");
  ChainSegment& segment = summary_.segments.back();
  if (segment.closed) return Fail("a record after log-close");

  tl::expected<void, ChainBreak> fine;
  const std::string_view action = record.action();
  const bool own = record.own();
  if (own && (action == kLogOpen || action == kLogReopen)) fine = TakeKey(record);
  if (fine && !segment.key.empty()) fine = own ? CheckSignature(record) : CheckUnsigned(record);
  if (fine && !segment.key.empty() && own && action == kLogClose) fine = CheckClose(record);
  if (!fine) return fine;

  summary_.last = {record.sequence, record.hash};
  if (trust_.stream) recent_.Add(summary_.last);
  ++summary_.records;
  ++segment.records;
  segment.closed = own && action == kLogClose;
  if (!own) segment.events += record.count();
  if (record.Value(",\"kind\":\"") == EventKindName(EventKind::kLoss)) {
    segment.lost += record.count();
  }
  return {};
}

tl::expected<ChainSummary, ChainBreak> ChainVerifier::Finish() {
  if (summary_.records == 0) {
    place_.line = std::max<uint64_t>(place_.line, 1);  // an empty file lacks its first one
    return Fail("the log holds no whole record");
  }
  if (auto ended = EndSegment(); !ended) return tl::unexpected(ended.error());
  if (trust_.closed && !summary_.segments.back().closed) {
    return Fail("no end record: the last run goes on, was killed, or its end is cut off");
  }
  for (const PublicKey& key : trust_.keys) {
    const std::string hex = Hex(key);
    const bool found = std::any_of(summary_.segments.begin(), summary_.segments.end(),
                                   [&](const ChainSegment& run) { return run.key == hex; });
    if (!found) return FailKey("no run of the key ed25519:" + hex);
  }
  return summary_;
}

std::string_view WholeRecordIn(std::string_view line) {
  if (ChainVerifier::IsWhole(line)) return line;
  // Quotes inside values are escaped, so this is where a record begins.
  const size_t begins = line.rfind(kRecordBegins);
  if (begins == std::string_view::npos) return {};
  // What is torn began as a record. On a console that is the output's as well a line of a component
  // begins with its name, and what it says behind that is nobody's record.
  const std::string_view torn = line.substr(0, begins);
  if (!torn.starts_with(kRecordBegins.substr(0, torn.size()))) return {};
  if (torn.find(kLabelEnd) != std::string_view::npos) return {};
  const std::string_view last = line.substr(begins);
  return ChainVerifier::IsWhole(last) ? last : std::string_view();
}

bool ChainVerifier::IsWhole(std::string_view line) {
  const auto record = Parse(line);
  return record && LinkHash(record->prev, record->unhashed) == record->hash;
}

namespace {

// Splits what it is given into lines, holding at most one of the longest length.
class LineFeeder {
 public:
  explicit LineFeeder(ChainVerifier& verifier) : verifier_(verifier) {}
  tl::expected<void, ChainBreak> Take(std::string_view bytes) {
    for (const char c : bytes) {
      if (c != '\n') {
        // Longer than any record, of which it could begin with one.
        if (line_.size() == kMaxEventLine) line_ = kTooLong;
        if (line_ != kTooLong) line_ += c;
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
  static constexpr std::string_view kTooLong = "…";
  ChainVerifier& verifier_;
  std::string line_;
};

tl::unexpected<ChainBreak> Unreadable(const std::string& path, size_t file, int error) {
  return tl::unexpected(ChainBreak{file, 0, 0, "`" + path + "`: " + std::strerror(error)});
}

tl::expected<void, ChainBreak> FeedFile(ChainVerifier& verifier, const std::string& path,
                                        size_t file) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Unreadable(path, file, errno);
  LineFeeder feeder(verifier);
  std::string buffer(kMaxEventLine, '\0');
  tl::expected<void, ChainBreak> fed;
  ssize_t got = 0;
  while (fed && (got = read(fd, buffer.data(), buffer.size())) > 0) {
    fed = feeder.Take(std::string_view(buffer.data(), static_cast<size_t>(got)));
  }
  const int error = got < 0 ? errno : 0;
  close(fd);
  if (error != 0) return Unreadable(path, file, error);
  return fed ? feeder.End() : fed;
}

}  // namespace

tl::expected<ChainSummary, ChainBreak> VerifyChain(std::span<const std::string> paths,
                                                   ChainTrust trust,
                                                   std::optional<ChainPoint> after) {
  ChainVerifier verifier(after, std::move(trust));
  for (size_t file = 0; file < paths.size(); ++file) {
    if (file != 0) verifier.NextFile();
    if (auto fed = FeedFile(verifier, paths[file], file); !fed) return tl::unexpected(fed.error());
  }
  return verifier.Finish();
}

tl::expected<ChainSummary, ChainBreak> VerifyChain(const std::string& path,
                                                   std::optional<ChainPoint> after) {
  return VerifyChain(std::span(&path, 1), {}, after);
}

std::optional<PublicKey> ParsePublicKey(std::string_view text) {
  constexpr std::string_view kPrefix = "ed25519:";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  return ParseHex<std::tuple_size_v<PublicKey>>(text);
}

}  // namespace bulkhead
