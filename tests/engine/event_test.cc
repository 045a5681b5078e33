// SPDX-License-Identifier: Apache-2.0
#include "engine/event.h"

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <random>

namespace bulkhead {
namespace {

Event Sample() {
  Event event;
  event.sequence = 7;
  event.boot_ns = 12000000345;
  event.claimed_ns = 1700000000000000001;
  event.boot = "6a1c";
  event.component = "tools";
  event.pid = 42;
  event.exe = "/usr/bin/python3";
  event.kind = EventKind::kViolation;
  event.control = "seccomp";
  event.action = "socket";
  event.object = "domain=40";
  event.verdict = "refused";
  event.error = "EPERM";
  event.rule = "components.tools.syscalls";
  return event;
}

BOOST_AUTO_TEST_SUITE(EventEncoding)

BOOST_AUTO_TEST_CASE(KeysComeInOneOrderWithoutSpaces) {
  Event event = Sample();
  event.extra = {{"ip", "0x1"}, {"arch", "x86_64"}};
  BOOST_TEST(EncodeEvent(event) ==
             R"({"seq":7,"time":"12.000000345","claimed":"1700000000.000000001","boot":"6a1c",)"
             R"("component":"tools","pid":42,"exe":"/usr/bin/python3","kind":"violation",)"
             R"("control":"seccomp","action":"socket","object":"domain=40","verdict":"refused",)"
             R"("errno":"EPERM","rule":"components.tools.syscalls","count":1,)"
             R"("extra":{"ip":"0x1","arch":"x86_64"})");
}

BOOST_AUTO_TEST_CASE(QuotesAndControlBytesNeverReachTheLineRaw) {
  Event event = Sample();
  event.object = "a\"b\\c\n\x1b[31m\x7f";
  const std::string line = EncodeEvent(event);
  BOOST_TEST(line.find(R"("object":"a\"b\\\\c\\x0a\\x1b[31m\\x7f")") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(ALongValueIsCutAndItsLengthNamed) {
  Event event = Sample();
  event.object.assign(4096, 'x');
  const std::string line = EncodeEvent(event);
  BOOST_TEST(line.find("\"object\":\"" + std::string(509, 'x') + "\xE2\x80\xA6\"") !=
             std::string::npos);
  BOOST_TEST(line.ends_with(R"(,"cut":{"object":4096})"));
}

BOOST_AUTO_TEST_CASE(ExtrasBeyondTheLimitAreCounted) {
  Event event = Sample();
  for (int i = 0; i < 20; ++i)
    event.extra.push_back({std::string("k").append(std::to_string(i)), "v"});
  const std::string line = EncodeEvent(event);
  BOOST_TEST(line.find("\"k15\":\"v\"}") != std::string::npos);
  BOOST_TEST(line.find("\"k16\"") == std::string::npos);
  BOOST_TEST(line.ends_with(R"(,"cut":{"extra":20})"));
}

BOOST_AUTO_TEST_CASE(TheLongestLineFitsItsBound) {
  Event event = Sample();
  const std::string worst(5000, '\\');
  for (std::string* field :
       {&event.boot, &event.component, &event.exe, &event.control, &event.action, &event.object,
        &event.verdict, &event.error, &event.rule}) {
    *field = worst;
  }
  event.extra.assign(20, {worst, worst});
  BOOST_TEST(EncodeEvent(event).size() + 256 < kMaxEventLine);
}

BOOST_AUTO_TEST_CASE(TextThatIsNotShownIsEscaped) {
  const std::pair<std::string, std::string> cases[] = {
      {"plain /tmp/a b", "plain /tmp/a b"},
      {"caf\xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x94\x92", "caf\xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x94\x92"},
      {std::string("\0x", 2), "\\x00x"},
      {"\\x00", "\\\\x00"},
      {"\xC0\xAF", "\\xc0\\xaf"},                    // overlong
      {"\xED\xA0\x80", "\\xed\\xa0\\x80"},           // surrogate
      {"\xF4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // past U+10FFFF
      {"\xE6\x97", "\\xe6\\x97"},                    // cut short
      {"\xC2\x9B"
       "1m",
       "\\xc2\\x9b1m"},  // C1 CSI
      {"\xE2\x80\xAE"
       "gpj",
       "\\xe2\\x80\\xaegpj"},               // right-to-left override
      {"\xE2\x80\xA8", "\\xe2\\x80\\xa8"},  // line separator
  };
  for (const auto& [bytes, text] : cases) BOOST_TEST(EscapeText(bytes).text == text);
}

BOOST_AUTO_TEST_CASE(EscapingCanBeUndoneAndIsTheOnlyForm) {
  const unsigned seed = std::random_device{}();
  BOOST_TEST_MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const EscapedText escaped = EscapeText(bytes);
    BOOST_TEST(!escaped.cut);
    BOOST_REQUIRE(UnescapeText(escaped.text) == bytes);
  }
  for (const char* wrong : {"\\", "\\y", "\\x4", "\\x41", "\\x0A", "a\nb", "\\xzz"}) {
    BOOST_TEST(!UnescapeText(wrong), wrong);
  }
}

BOOST_AUTO_TEST_CASE(ACutNeverSplitsACharacter) {
  for (size_t lead = 500; lead < 514; ++lead) {
    const std::string bytes = std::string(lead, 'a') + "\xE6\x97\xA5\xE6\x97\xA5\xE6\x97\xA5\x01";
    const EscapedText escaped = EscapeText(bytes);
    BOOST_TEST(escaped.text.size() <= kMaxEventField);
    BOOST_TEST(escaped.cut == (lead + 9 + 4 > kMaxEventField));
    BOOST_TEST(UnescapeText(escaped.text).has_value());
  }
}

BOOST_AUTO_TEST_CASE(ErrnosHaveNames) {
  BOOST_TEST(ErrnoName(EPERM) == "EPERM");
  BOOST_TEST(ErrnoName(ENOSYS) == "ENOSYS");
  BOOST_TEST(ErrnoName(0) == "");
  BOOST_TEST(ErrnoName(9999) == "9999");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
