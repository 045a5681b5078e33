// SPDX-License-Identifier: Apache-2.0
#include "engine/bundle_signature.h"

#include <nettle/eddsa.h>

#include <boost/test/unit_test.hpp>

#include "profiles/bundle.h"

namespace bulkhead {
namespace {

struct Signing {
  std::array<uint8_t, 32> secret{1, 2, 3};
  BundleKey key{};
  std::vector<uint8_t> bundle = std::vector<uint8_t>(100, 7);
  Signing() { ed25519_sha512_public_key(key.data(), secret.data()); }
  std::string Sign(std::span<const uint8_t> bytes) const {
    const auto message = SignedMessage(BundleDigest(bytes));
    BundleSignature signature{};
    ed25519_sha512_sign(key.data(), secret.data(), message.size(), message.data(),
                        signature.data());
    return Hex(signature);
  }
};

BOOST_FIXTURE_TEST_SUITE(BundleSignatures, Signing)

BOOST_AUTO_TEST_CASE(WhatIsSignedByTheKeyIsTaken) {
  BOOST_TEST(BundleSignatureDefect(Hex(key) + "\n", Sign(bundle) + "\n", bundle).empty());
  BOOST_TEST(BundleSignatureDefect(Hex(key), Sign(bundle), bundle).empty());
}

BOOST_AUTO_TEST_CASE(AnythingElseIsRefused) {
  const std::string wrong = "it is not signed by the image's key";
  std::vector<uint8_t> changed = bundle;
  changed[10] ^= 1;
  BOOST_TEST(BundleSignatureDefect(Hex(key), Sign(bundle), changed) == wrong);
  const std::string good = Sign(bundle);
  for (size_t at = 0; at < good.size(); ++at) {
    std::string other = good;
    other[at] = other[at] == '0' ? '1' : '0';
    BOOST_TEST(BundleSignatureDefect(Hex(key), other, bundle) == wrong, at);
  }
  Signing somebody;
  somebody.secret[0] = 9;
  ed25519_sha512_public_key(somebody.key.data(), somebody.secret.data());
  BOOST_TEST(BundleSignatureDefect(Hex(key), somebody.Sign(bundle), bundle) == wrong);
  // What is signed is a bundle's digest, and nothing else that this key may sign.
  BundleSignature bare{};
  const Digest digest = BundleDigest(bundle);
  ed25519_sha512_sign(key.data(), secret.data(), digest.size(), digest.data(), bare.data());
  BOOST_TEST(BundleSignatureDefect(Hex(key), Hex(bare), bundle) == wrong);
  for (const char* text : {"", "?", "00", "zz"}) {
    BOOST_TEST(!BundleSignatureDefect(text, good, bundle).empty());
    BOOST_TEST(!BundleSignatureDefect(Hex(key), text, bundle).empty());
  }
  BOOST_TEST(!BundleSignatureDefect(Hex(key) + "0", good, bundle).empty());
  BOOST_TEST(!BundleSignatureDefect(Hex(key) + "\n\n", good, bundle).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
