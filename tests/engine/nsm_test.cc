// SPDX-License-Identifier: Apache-2.0
// The Nitro module's messages: bytes as they stand in public sources, and answers that are not what
// they should be.
#include "engine/nsm.h"

#include <boost/test/unit_test.hpp>

#include <string>

#include "engine/cbor.h"
#include "profiles/attestation.h"

namespace bulkhead {
namespace {

ByteList FromHex(std::string_view hex) {
  ByteList bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

BOOST_AUTO_TEST_SUITE(Nsm)

BOOST_AUTO_TEST_CASE(RequestsAreTheKnownBytes) {
  // a1 map(1), 6b text(11) "DescribePCR", a1, 65 "index", 10 unsigned(16)
  BOOST_TEST(Hex(NsmDescribeRequest(16)) == "a16b4465736372696265504352a165696e64657810");
  // 18 14: unsigned(20) takes one byte more from 24 on, so 20 does not
  BOOST_TEST(Hex(NsmDescribeRequest(24)) == "a16b4465736372696265504352a165696e6465781818");
  BOOST_TEST(Hex(NsmLockRequest(20)) == "a1674c6f636b504352a165696e64657814");
  BOOST_TEST(Hex(NsmRandomRequest()) == "6947657452616e646f6d");
  const ByteList data(48, 0xab);
  std::string extend = "a169457874656e64504352a265696e64657810646461746158" + std::string("30");
  for (int i = 0; i < 48; ++i) extend += "ab";
  BOOST_TEST(Hex(NsmExtendRequest(16, data)) == extend);
  const ByteList one{1};
  BOOST_TEST(
      Hex(NsmAttestationRequest({one, {}, {}})) ==
      "a16b4174746573746174696f6ea369757365725f646174614101656e6f6e6365f66a7075626c69635f6b65"
      "79f6");
}

BOOST_AUTO_TEST_CASE(RegisterTakesTheKnownVector) {
  const ByteList data(48, 0xab);
  BOOST_TEST(
      Hex(Extended({}, data)) ==
      "73bbee246f69b6bf7824b9e7643701dad9ed70c94c9880d033c0ac87b5043d0dd70cad576882faf2f6679a"
      "22ededfea4");
}

BOOST_AUTO_TEST_CASE(AnswersAreReadInEitherOrder) {
  std::string zeros(96, '0');
  const std::string data = "64646174615830" + zeros;
  const std::string lock = "646c6f636bf5";
  for (const std::string& pairs : {data + lock, lock + data}) {
    const auto found = ReadNsmRegister(FromHex("a16b4465736372696265504352a2" + pairs));
    BOOST_REQUIRE(found.has_value());
    BOOST_TEST(found->locked);
    BOOST_TEST((found->value == Digest{}));
  }
  BOOST_TEST(ReadNsmLocked(FromHex("674c6f636b504352")).has_value());
  const auto random = ReadNsmRandom(FromHex("a16947657452616e646f6da16672616e646f6d420102"));
  BOOST_REQUIRE(random.has_value());
  BOOST_TEST(Hex(*random) == "0102");
}

BOOST_AUTO_TEST_CASE(ErrorsSayTheModulesOwnName) {
  const ByteList error = CborWriter().Map(1).Text("Error").Text("ReadOnlyIndex").bytes();
  BOOST_TEST(ReadNsmRegister(error).error() == "the module answers ReadOnlyIndex");
  BOOST_TEST(ReadNsmExtended(error).error() == "the module answers ReadOnlyIndex");
  BOOST_TEST(ReadNsmLocked(error).error() == "the module answers ReadOnlyIndex");
  BOOST_TEST(ReadNsmDocument(error).error() == "the module answers ReadOnlyIndex");
}

BOOST_AUTO_TEST_CASE(WhatIsCutOffOrLongerOrOfAnotherFormIsNoAnswer) {
  const ByteList good =
      CborWriter().Map(1).Text("ExtendPCR").Map(1).Text("data").Bytes(Digest{}).bytes();
  BOOST_REQUIRE(ReadNsmExtended(good).has_value());
  for (size_t size = 0; size < good.size(); ++size) {
    BOOST_TEST(!ReadNsmExtended(std::span(good).first(size)).has_value(), size);
  }
  ByteList longer = good;
  longer.push_back(0);
  BOOST_TEST(!ReadNsmExtended(longer).has_value());
  const ByteList short_digest =
      CborWriter().Map(1).Text("ExtendPCR").Map(1).Text("data").Bytes(ByteList(47)).bytes();
  BOOST_TEST(!ReadNsmExtended(short_digest).has_value());
  BOOST_TEST(ReadNsmLocked(good).error() == "an answer to another question");
  BOOST_TEST(!ReadNsmLocked(FromHex("674c6f636b50435200")).has_value());
  BOOST_TEST(!ReadNsmRegister(FromHex("a16b4465736372696265504352a2646c6f636bf5646c6f636bf5")));
}

BOOST_AUTO_TEST_CASE(CborTakesShortestFormsOnly) {
  for (const char* longer : {"1817", "190017", "1900ff", "1a0000ffff", "1b00000000ffffffff"}) {
    const ByteList bytes = FromHex(longer);
    BOOST_TEST(!CborReader(bytes).TakeUnsigned().has_value(), longer);
  }
  for (const auto& [hex, value] :
       {std::pair("17", 23ULL), std::pair("1818", 24ULL), std::pair("190100", 256ULL),
        std::pair("1a00010000", 65536ULL), std::pair("1b0000000100000000", 4294967296ULL)}) {
    const ByteList bytes = FromHex(hex);
    BOOST_TEST(CborReader(bytes).TakeUnsigned().value_or(0) == value);
    BOOST_TEST(Hex(CborWriter().Unsigned(value).bytes()) == hex);
  }
  // Indefinite lengths, floating point, a string longer than what is there.
  for (const char* other :
       {"9fff", "bfff", "5fff", "f90000", "f97c00", "5bffffffffffffffff", "58ff00"}) {
    const ByteList bytes = FromHex(other);
    BOOST_TEST(!CborReader(bytes).Skip(), other);
  }
  // Deeper than anybody reads, and more than anybody counts.
  const ByteList deep(5000, 0x81);
  BOOST_TEST(!CborReader(deep).Skip());
  const ByteList wide = FromHex("9b00000001000000000000");
  BOOST_TEST(!CborReader(wide).Skip());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
