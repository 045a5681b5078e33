// SPDX-License-Identifier: Apache-2.0
// What the signatures of an audit log show that its chain alone does not.
#include <nettle/eddsa.h>

#include <boost/test/unit_test.hpp>
#include <random>
#include <set>
#include <tuple>

#include "tests/engine/audit_support.h"

namespace bulkhead {
namespace {

using namespace audit_test;

// What has fitted is remembered: tests of many changes judge the same signatures again and again.
bool Fits(const PublicKey& key, std::string_view message, const Signature& signature) {
  static std::set<std::tuple<PublicKey, std::string, Signature>> good;
  const std::tuple asked(key, std::string(message), signature);
  if (good.contains(asked)) return true;
  const bool fits = ed25519_sha512_verify(key.data(), message.size(),
                                          reinterpret_cast<const uint8_t*>(message.data()),
                                          signature.data()) == 1;
  if (fits) good.insert(asked);
  return fits;
}

ChainTrust By(const PublicKey& key) { return {Fits, {key}, false}; }

using Verdict = tl::expected<ChainSummary, ChainBreak>;

// The text as a file holds it, judged without a file.
Verdict Judge(const std::string& text, const ChainTrust& trust) {
  ChainVerifier verifier(std::nullopt, trust);
  size_t start = 0;
  for (size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    const auto fed = verifier.Feed(std::string_view(text).substr(start, end - start));
    if (!fed) return tl::unexpected(fed.error());
  }
  if (start != text.size()) {
    if (auto fed = verifier.Feed(text.substr(start) + "\n"); !fed) {
      return tl::unexpected(fed.error());
    }
  }
  return verifier.Finish();
}

struct Written {
  std::string text;
  PublicKey key{};
};

// `seconds` of `each` records, and the end.
Written WriteLog(int seconds, int each, uint64_t start = 100) {
  const Place place;
  fake_now = start * kSecond;
  AuditLog log = place.Open();
  for (int second = 0; second < seconds; ++second, fake_now += kSecond) {
    for (int i = 0; i < each; ++i) log.Append(Started());
    log.Tick();
  }
  const PublicKey key = log.public_key();
  BOOST_TEST(log.Close());
  return {ReadAll(place.path()), key};
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++count;
  return count;
}

const char* const kIsCheckpoint = "\"kind\":\"checkpoint\"";

// The number of lines up to and with the first checkpoint.
size_t FirstCheckpoint(const std::vector<std::string>& lines) {
  size_t i = 0;
  while (lines.at(i).find(kIsCheckpoint) == std::string::npos) ++i;
  return i + 1;
}

BOOST_AUTO_TEST_SUITE(AuditLogSigned)

BOOST_AUTO_TEST_CASE(AWholeLogIsSignedToItsEnd) {
  const Written log = WriteLog(25, 3);
  const auto chain = Judge(log.text, By(log.key));
  BOOST_REQUIRE_MESSAGE(chain.has_value(), (chain ? "" : chain.error().what));
  BOOST_TEST(chain->segments[0].key == Hex(log.key));
  BOOST_TEST(chain->segments[0].signed_sequence == chain->records);
  BOOST_TEST(chain->segments[0].signed_records == 4U);  // open, two, close
  BOOST_TEST(chain->segments[0].events == 75U);
  BOOST_TEST(chain->segments[0].closed);
}

BOOST_AUTO_TEST_CASE(ACheckpointComesEveryThousandRecords) {
  const Written log = WriteLog(1, 2500);
  BOOST_TEST(Count(log.text, kIsCheckpoint) == 2U);
  const auto chain = Judge(log.text, By(log.key));
  BOOST_REQUIRE(chain);
  BOOST_TEST(FirstCheckpoint(Lines(log.text)) == 1002U);
}

BOOST_AUTO_TEST_CASE(ACheckpointComesTenSecondsAfterSomethingNewAndNeverElse) {
  const Place place;
  AuditLog log = place.Open();
  for (int i = 0; i < 60; ++i, fake_now += kSecond) log.Tick();
  BOOST_TEST(Count(ReadAll(place.path()), kIsCheckpoint) == 0U);
  log.Append(Started());
  for (int i = 0; i < 10; ++i, fake_now += kSecond) log.Tick();
  BOOST_TEST(Count(ReadAll(place.path()), kIsCheckpoint) == 0U);
  log.Tick();
  BOOST_TEST(Count(ReadAll(place.path()), kIsCheckpoint) == 1U);
  for (int i = 0; i < 60; ++i, fake_now += kSecond) log.Tick();
  BOOST_TEST(Count(ReadAll(place.path()), kIsCheckpoint) == 1U);
  // One that wasn't asked for so long signs what there was before it goes on.
  log.Append(Started());
  fake_now += 100 * kSecond;
  log.Append(Started());
  BOOST_TEST(Count(ReadAll(place.path()), kIsCheckpoint) == 2U);
  log.Close();
  BOOST_TEST(Judge(ReadAll(place.path()), By(log.public_key())).has_value());
}

BOOST_AUTO_TEST_CASE(ACutAtACheckpointIsALogWithoutItsEnd) {
  const Written log = WriteLog(25, 3);
  auto lines = Lines(log.text);
  const size_t at = FirstCheckpoint(lines);
  lines.resize(at);
  const auto chain = Judge(Join(lines), By(log.key));
  BOOST_REQUIRE(chain);
  BOOST_TEST(!chain->segments[0].closed);
  BOOST_TEST(chain->segments[0].signed_sequence == at);
  BOOST_TEST(chain->records == at);
}

BOOST_AUTO_TEST_CASE(ALogWrittenAnewByTheDisksOwnerFailsOnTheSignature) {
  const Written log = WriteLog(25, 3);
  const Written other = WriteLog(25, 2);  // the same bundle and boot, an honest chain, another key
  BOOST_TEST(Judge(other.text, {Fits, {}, false}).has_value());
  const auto verdict = Judge(other.text, By(log.key));
  BOOST_REQUIRE(!verdict);
  BOOST_TEST(verdict.error().line == 1U);
  BOOST_TEST(verdict.error().what ==
             "the run that begins here is signed by another key, ed25519:" + Hex(other.key));
  // The same with the public key of the real one, which is known to all.
  std::string claimed = other.text;
  for (size_t at; (at = claimed.find(Hex(other.key))) != std::string::npos;) {
    claimed.replace(at, Hex(log.key).size(), Hex(log.key));
  }
  BOOST_TEST(!Judge(claimed, By(log.key)));
}

// What somebody without the key can make: any events, hashed as they must be.
std::string Forged(const std::string& genuine, size_t keep, const std::vector<Event>& events) {
  auto lines = Lines(genuine);
  lines.resize(keep);
  const std::string& last = lines.back();
  const size_t at = last.find(kHashField) + kHashField.size();
  ChainPoint point{keep, ParseDigest(last.substr(at, 96)).value()};
  for (Event event : events) {
    event.boot_ns = 100 * kSecond;
    ChainedLine linked = Link(point, event);
    point = linked.next;
    lines.push_back(std::move(linked.line));
  }
  return Join(lines);
}

Event Closing() {
  Event event;
  event.control = "supervisor";
  event.action = kLogClose;
  event.extra = {{"events", "3"}, {"signature", std::string(128, '0')}};
  return event;
}

BOOST_AUTO_TEST_CASE(AForgedEndIsNoEnd) {
  const Written log = WriteLog(1, 5);
  const auto verdict = Judge(Forged(log.text, 4, {Closing()}), By(log.key));
  BOOST_REQUIRE(!verdict);
  BOOST_TEST(verdict.error().what == "the signature does not fit the key");
  Event bare = Closing();
  bare.extra.clear();
  BOOST_TEST(Judge(Forged(log.text, 4, {bare}), By(log.key)).error().what ==
             "log-close is not signed");
}

BOOST_AUTO_TEST_CASE(WhatCanBeForgedBehindASignatureIsBounded) {
  const Written log = WriteLog(1, 5);
  const auto forged = [&](size_t count) {
    return Judge(Forged(log.text, 1, std::vector<Event>(count, Started())), By(log.key));
  };
  BOOST_REQUIRE(forged(kSignedRecords).has_value());
  BOOST_TEST(forged(kSignedRecords)->segments[0].signed_sequence == 1U);
  BOOST_REQUIRE(!forged(kSignedRecords + 1));
  BOOST_TEST(forged(kSignedRecords + 1).error().line == kSignedRecords + 2);
}

BOOST_AUTO_TEST_CASE(TheSignatureOfOneRecordFitsNoOther) {
  const Written log = WriteLog(25, 3);
  auto lines = Lines(log.text);
  const auto signature = [](const std::string& line) {
    return line.substr(line.find(kSignatureField) + kSignatureField.size(), 128);
  };
  const size_t at = FirstCheckpoint(lines) - 1;
  Event event;
  event.kind = EventKind::kCheckpoint;
  event.control = "supervisor";
  event.action = kCheckpoint;
  event.extra = {{"events", "1"}, {"signature", signature(lines[at])}};
  BOOST_TEST(Judge(Forged(log.text, at, {event}), By(log.key)).error().what ==
             "the signature does not fit the key");
}

BOOST_AUTO_TEST_CASE(ARunThatIsMissingOrPastedTwiceIsSeen) {
  const Written one = WriteLog(1, 2);
  const Written two = WriteLog(1, 3);
  const ChainTrust both{Fits, {one.key, two.key}, false};
  BOOST_TEST(Judge(one.text + two.text, both).has_value());
  BOOST_TEST(Judge(one.text, both).error().what == "no run of the key ed25519:" + Hex(two.key));
  BOOST_TEST(Judge(one.text + two.text + one.text, both).error().what ==
             "a second run of the same key");
  BOOST_TEST(!Judge(one.text + two.text, By(two.key)));
}

// A run that begins with what only looks like the log's own record has no key, and is nobody's.
BOOST_AUTO_TEST_CASE(ARunWithoutAKeyIsNotTheKeys) {
  const Written real = WriteLog(1, 2);
  const std::string first = Lines(real.text)[0];
  for (const auto& [component, control] :
       {std::pair("job", "supervisor"), std::pair("", "Supervisor"), std::pair("", "supervisor")}) {
    Event open;
    open.boot = "boot-1";
    open.component = component;
    open.control = control;
    open.action = kLogOpen;
    open.object = Hex(TestBundle());
    ChainPoint point = ChainStart(TestBundle(), "boot-1");
    std::string forged;
    for (int i = 0; i < 3; ++i) {
      ChainedLine line = Link(point, open);
      forged += line.line;
      point = line.next;
      open = Refusal("invented");
    }
    BOOST_TEST(!Judge(first + forged, By(real.key)), component << control);
    BOOST_TEST(!Judge(forged + real.text, By(real.key)), component << control);
    BOOST_TEST(!Judge(forged, By(real.key)), component << control);
    // Nor as what is left of a run whose beginning is gone.
    const std::string rest = forged.substr(forged.find('\n') + 1);
    BOOST_TEST(!Judge(rest + real.text, {Fits, {real.key}, false, true}), component << control);
    BOOST_TEST(Judge(rest + real.text, {Fits, {}, false, true}).has_value());
  }
}

BOOST_AUTO_TEST_CASE(RunsOfOneBootAreInTheirOrder) {
  const Written one = WriteLog(1, 2);
  const Written two = WriteLog(1, 3, 200);
  BOOST_TEST(Judge(one.text + two.text, {Fits, {}, false}).has_value());
  const auto verdict = Judge(two.text + one.text, {Fits, {}, false});
  BOOST_REQUIRE(!verdict);
  BOOST_TEST(verdict.error().what.find("opened after it") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(AClosedLogCanBeAskedFor) {
  const Written log = WriteLog(1, 2);
  ChainTrust trust = By(log.key);
  trust.closed = true;
  BOOST_TEST(Judge(log.text, trust).has_value());
  const std::string cut = log.text.substr(0, log.text.rfind('\n', log.text.size() - 2) + 1);
  BOOST_TEST(Judge(cut, By(log.key)).has_value());
  BOOST_TEST(!Judge(cut, trust));
}

// As somebody stores it whose connection broke again and again, the last time in a run's last line.
BOOST_AUTO_TEST_CASE(AStreamMayBreakAtAnyPlace) {
  const Written one = WriteLog(1, 2);
  const Written two = WriteLog(1, 3, 200);
  const std::string torn = one.text.substr(0, one.text.size() - 40);
  const std::string piece = one.text.substr(0, 50);
  const std::string text = piece + "\n" + piece + "\n\n" + torn + two.text;
  const auto verdict = Judge(text, {Fits, {one.key, two.key}, true});
  BOOST_REQUIRE_MESSAGE(verdict.has_value(), (verdict ? "" : verdict.error().what));
  BOOST_TEST(verdict->segments.size() == 2U);
  BOOST_TEST(verdict->torn_lines == 3U);
  BOOST_TEST(!Judge(text, {Fits, {one.key, two.key}, false}));
}

// On a console stands also what components say, which begins with their names.
BOOST_AUTO_TEST_CASE(ARecordBehindATornOneIsTakenUnlessAComponentSaysIt) {
  const Written log = WriteLog(1, 2);
  const std::string record = log.text.substr(0, log.text.find('\n'));
  for (const char* torn : {"", "{", "{\"se", R"({"seq":)", R"({"seq":7,"time":"9.1)"}) {
    BOOST_TEST(WholeRecordIn(torn + record) == record, torn);
  }
  for (const char* other : {"tools | ", " ", "{\"kind\":", R"({"seq":7,"timetools | )",
                            R"({"seq":7,"ti tools | and )", "{\"setools | "}) {
    BOOST_TEST(WholeRecordIn(other + record).empty(), other);
  }
  BOOST_TEST(WholeRecordIn(record.substr(1)).empty());
  BOOST_TEST(WholeRecordIn(record + "x").empty());
}

BOOST_AUTO_TEST_CASE(ARotatedSetIsOneChainUnderOneKey) {
  const Place place;
  AuditLog log = place.Open();
  log.Append(Started());
  BOOST_REQUIRE(rename(place.path().c_str(), place.old_path().c_str()) == 0);
  BOOST_TEST(log.Reopen().has_value());
  log.Append(Started());
  BOOST_TEST(log.Close());
  const std::vector<std::string> files{place.old_path(), place.path()};
  const auto set = VerifyChain(files, By(log.public_key()));
  BOOST_REQUIRE(set);
  BOOST_TEST(set->segments.size() == 1U);
  BOOST_TEST(set->segments[0].events == 2U);
  BOOST_TEST(set->segments[0].closed);
  BOOST_TEST(Lines(ReadAll(place.old_path())).back().find(kIsCheckpoint) != std::string::npos);
  BOOST_TEST(
      VerifyChain(place.path()).error().what ==
      "the log goes on from an older file: give it by --rotated, or --partial where it is gone");
  // A file of the set is missing, or they are in the wrong order.
  BOOST_TEST(!VerifyChain(std::vector{files[1], files[0]}, By(log.public_key())));
  // The new one alone, by what is known of the old one's end, is judged by its own statement.
  const auto old = VerifyChain(place.old_path());
  const auto next = VerifyChain(std::span(&files[1], 1), By(log.public_key()), old->last);
  BOOST_REQUIRE(next);
  BOOST_TEST(next->segments[0].key == Hex(log.public_key()));
}

BOOST_AUTO_TEST_CASE(CountsThatDoNotAddUpAreSeenAtTheEnd) {
  // The supervisor itself signs what it made: a record that stands for less cannot be explained.
  const auto key = AuditKey::Make();
  BOOST_REQUIRE(key);
  const auto log = [&](uint64_t held) {
    ChainPoint point = ChainStart(TestBundle(), "boot-1");
    Event open;
    open.boot = "boot-1";
    open.control = "supervisor";
    open.action = kLogOpen;
    open.object = Hex(TestBundle());
    open.extra = {{"events", "0"}, {"public_key", Hex(key->public_key())}};
    Event some = Started();
    some.count = held;
    Event close = Closing();
    close.extra = {{"events", "3"}};
    const auto first = LinkSigned(point, open, *key);
    const auto second = Link(first.next, some);
    return first.line + second.line + LinkSigned(second.next, close, *key).line;
  };
  BOOST_TEST(Judge(log(3), By(key->public_key())).has_value());
  BOOST_TEST(Judge(log(2), By(key->public_key())).error().what ==
             "3 events were made, the records stand for 2");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(SlowAuditLogTampered)

// A run with a checkpoint in the middle.
Written WriteShortLog() {
  const Place place;
  AuditLog log = place.Open();
  log.Append(Started());
  fake_now += 11 * kSecond;
  log.Append(Started());
  const PublicKey key = log.public_key();
  BOOST_TEST(log.Close());
  return {ReadAll(place.path()), key};
}

// Changes each byte of a log to every other value: found at its line, or, in the last line, seen as
// a log without its end.
BOOST_AUTO_TEST_CASE(EveryChangeOfOneByteIsFoundAtItsRecord) {
  const Written log = WriteShortLog();
  const ChainTrust trust = By(log.key);
  const size_t last = log.text.rfind('\n', log.text.size() - 2) + 1;
  uint64_t line = 1;
  uint64_t changes = 0;
  for (size_t at = 0; at < log.text.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = log.text;
      if (changed[at] == static_cast<char>(value)) continue;
      changed[at] = static_cast<char>(value);
      ++changes;
      const auto verdict = Judge(changed, trust);
      if (at >= last) {
        BOOST_TEST_REQUIRE((!verdict || !verdict->segments[0].closed), at << " " << value);
      } else {
        BOOST_TEST_REQUIRE(!verdict, at << " " << value);
        BOOST_TEST_REQUIRE(verdict.error().line == line, at << " " << value);
      }
    }
    if (log.text[at] == '\n') ++line;
  }
  BOOST_TEST_MESSAGE(changes << " changes of " << line - 1 << " lines");
}

BOOST_AUTO_TEST_CASE(EveryCutIsALogWithoutItsEnd) {
  const Written log = WriteShortLog();
  BOOST_TEST(Judge(log.text, By(log.key))->segments[0].closed);
  for (size_t size = 0; size < log.text.size(); ++size) {
    const auto verdict = Judge(log.text.substr(0, size), By(log.key));
    BOOST_TEST_REQUIRE((!verdict || !verdict->segments[0].closed), size);
  }
  BOOST_TEST_MESSAGE(log.text.size() << " cuts");
}

// One random change of a log of many records, and the line that has to be named; 0: a cut.
uint64_t Tamper(std::vector<std::string>& lines, std::mt19937_64& random) {
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  const size_t at = below(lines.size() - 2);  // another line comes after it
  const auto place = lines.begin() + static_cast<ptrdiff_t>(at);
  switch (below(5)) {
    case 0: {
      const auto changed = static_cast<char>(random());
      char& byte = lines[at][below(lines[at].size())];
      byte = changed == byte ? static_cast<char>(byte ^ 1) : changed;
      return at + 1;
    }
    case 1:
      lines.erase(place);
      return at + 1;
    case 2: {
      const size_t other = at + 1 + below(lines.size() - at - 1);
      std::swap(lines[at], lines[other]);
      return at + 1;
    }
    case 3: {
      const std::string again = lines[at];
      lines.insert(place, again);
      return at + 2;
    }
    default:
      lines.resize(at + 1);
      return 0;
  }
}

BOOST_AUTO_TEST_CASE(RandomChangesOfALargeLogAreFoundAtTheirRecord) {
  const uint64_t seed = std::random_device()();
  BOOST_TEST_MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  const Written log = WriteLog(30, 200);
  const auto lines = Lines(log.text);
  BOOST_TEST(Judge(log.text, By(log.key)).has_value());
  for (int i = 0; i < 300; ++i) {
    auto changed = lines;
    const uint64_t line = Tamper(changed, random);
    const auto verdict = Judge(Join(changed), By(log.key));
    BOOST_TEST_CONTEXT("seed " << seed << " change " << i) {
      if (line == 0) {
        BOOST_TEST_REQUIRE((!verdict || !verdict->segments[0].closed));
      } else {
        BOOST_TEST_REQUIRE(!verdict);
        BOOST_TEST_REQUIRE(verdict.error().line == line);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
