// SPDX-License-Identifier: Apache-2.0
#include "engine/attest_protocol.h"

#include <boost/test/unit_test.hpp>

#include <string>

#include "profiles/attestation.h"

namespace bulkhead {
namespace {

using Bytes = std::vector<uint8_t>;

AttestRequest Full() {
  AttestRequest request;
  request.verb = AttestVerb::kAttest;
  request.bytes = Bytes(kMaxAttestBytes, 1);
  request.nonce = Bytes(kMaxAttestNonce, 2);
  request.public_key = Bytes(kMaxAttestKey, 3);
  return request;
}

BOOST_AUTO_TEST_SUITE(AttestProtocol)

BOOST_AUTO_TEST_CASE(RequestsAreReadAsTheyWereWritten) {
  AttestRequest random;
  random.count = 32;
  AttestRequest empty;
  empty.verb = AttestVerb::kAttest;
  for (const AttestRequest& request : {random, empty, Full()}) {
    const auto read = ParseAttestRequest(AttestRequestBytes(request));
    BOOST_REQUIRE(read.has_value());
    BOOST_TEST((*read == request));
  }
  BOOST_TEST(Hex(AttestRequestBytes(random)) == "4248413101000000200000000000000000000000");
}

BOOST_AUTO_TEST_CASE(EveryOtherLengthIsMalformed) {
  const Bytes whole = AttestRequestBytes(Full());
  BOOST_TEST(whole.size() == kMaxAttestRequest);
  for (size_t size = 0; size < whole.size(); ++size) {
    BOOST_TEST(!ParseAttestRequest(std::span(whole).first(size)).has_value(), size);
  }
  Bytes longer = whole;
  longer.push_back(0);
  BOOST_TEST(!ParseAttestRequest(longer).has_value());
}

BOOST_AUTO_TEST_CASE(EveryFieldHasItsLimit) {
  for (int which = 0; which < 3; ++which) {
    AttestRequest request = Full();
    request.bytes.clear();
    request.nonce.clear();
    request.public_key.clear();
    Bytes& field = which == 0 ? request.bytes : which == 1 ? request.nonce : request.public_key;
    field.resize(which == 1 ? kMaxAttestNonce : kMaxAttestBytes);
    BOOST_TEST(ParseAttestRequest(AttestRequestBytes(request)).has_value());
    field.push_back(0);
    BOOST_TEST(!ParseAttestRequest(AttestRequestBytes(request)).has_value());
  }
  AttestRequest random;
  for (const uint32_t count : {0U, 257U, ~0U}) {
    random.count = count;
    BOOST_TEST(!ParseAttestRequest(AttestRequestBytes(random)).has_value());
  }
  // Lengths whose sum comes round to the message's.
  Bytes wraps = AttestRequestBytes(Full());
  for (size_t at = 8; at < 20; ++at) wraps[at] = 0xff;
  BOOST_TEST(!ParseAttestRequest(wraps).has_value());
}

BOOST_AUTO_TEST_CASE(VerbsAndReservedBytesAreExact) {
  AttestRequest random;
  random.count = 1;
  for (size_t at = 0; at < 8; ++at) {
    Bytes bytes = AttestRequestBytes(random);
    bytes[at] ^= 0x40;
    BOOST_TEST(!ParseAttestRequest(bytes).has_value(), at);
  }
}

BOOST_AUTO_TEST_CASE(UserDataNamesComponentBundleAndBytes) {
  const Digest bundle = Sha384(std::string_view("bundle"));
  const Bytes bytes{1, 2, 3};
  std::string text("bulkhead attest v1\0", 19);
  text += std::string("\x06\0\0\0signer", 10);
  text.append(bundle.begin(), bundle.end());
  text += std::string("\x03\0\0\0\x01\x02\x03", 7);
  BOOST_TEST(Hex(BoundUserData("signer", bundle, bytes)) == Hex(Sha384(text)));
  // No component can put its own name's end into its bytes.
  BOOST_TEST((BoundUserData("a", bundle, {}) != BoundUserData("b", bundle, {})));
  BOOST_TEST((BoundUserData("signer", Digest{}, bytes) != BoundUserData("signer", bundle, bytes)));
  const auto report = ReportData(bundle);
  BOOST_TEST(Hex(report) == Hex(bundle) + std::string(32, '0'));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
