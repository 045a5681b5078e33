// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_key.h"

#include <nettle/eddsa.h>
#include <nettle/sha2.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace bulkhead {
namespace {

bool Fits(const PublicKey& key, std::string_view message, const Signature& signature) {
  return ed25519_sha512_verify(key.data(), message.size(),
                               reinterpret_cast<const uint8_t*>(message.data()),
                               signature.data()) == 1;
}

struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool writable = false;
  std::string flags;
};

std::vector<Mapping> Mappings() {
  std::vector<Mapping> found;
  std::ifstream smaps("/proc/self/smaps");
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (const size_t dash = word.find('-'); dash != std::string::npos && word.back() != ':') {
      std::string mode;
      words >> mode;
      found.push_back({std::stoul(word.substr(0, dash), nullptr, 16),
                       std::stoul(word.substr(dash + 1), nullptr, 16),
                       mode.starts_with("rw"),
                       {}});
    } else if (word == "VmFlags:") {
      found.back().flags = line + " ";
    }
  }
  return found;
}

bool Has(const Mapping& mapping, const char* flag) {
  return mapping.flags.find(std::string(" ") + flag + " ") != std::string::npos;
}

std::vector<Mapping> Guarded() {
  std::vector<Mapping> guarded = Mappings();
  std::erase_if(guarded, [](const Mapping& mapping) { return !Has(mapping, "wf"); });
  return guarded;
}

using Pattern = std::array<uint8_t, 16>;

Pattern Inverted(const uint8_t* bytes) {
  Pattern pattern{};
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = static_cast<uint8_t>(~bytes[i]);
  return pattern;
}

// Whether `bytes` are somewhere in this process's writable memory, other than inverted.
bool InMemory(const Pattern& inverted, const std::vector<Mapping>& mappings) {
  for (const Mapping& mapping : mappings) {
    if (!mapping.writable) continue;
    const auto* at = std::bit_cast<const uint8_t*>(mapping.begin);
    const auto* last = std::bit_cast<const uint8_t*>(mapping.end) - inverted.size();
    for (; at <= last; ++at) {
      size_t i = 0;
      while (i < inverted.size() && at[i] == static_cast<uint8_t>(~inverted[i])) ++i;
      if (i == inverted.size()) return true;
    }
  }
  return false;
}

// The secret and the two halves of what signing expands it to, inverted, and nothing of it left.
std::vector<Pattern> SecretPatterns(const uint8_t* secret) {
  uint8_t expanded[SHA512_DIGEST_SIZE];
  sha512_ctx context;
  sha512_init(&context);
  sha512_update(&context, ED25519_KEY_SIZE, secret);
  sha512_digest(&context, sizeof expanded, expanded);
  // The first and last bytes of the scalar are changed before it is used.
  std::vector<Pattern> patterns{Inverted(secret), Inverted(expanded + 8), Inverted(expanded + 32)};
  explicit_bzero(expanded, sizeof expanded);
  explicit_bzero(&context, sizeof context);
  return patterns;
}

BOOST_AUTO_TEST_SUITE(AuditKeys)

BOOST_AUTO_TEST_CASE(ASignatureFitsItsMessageAndKeyAlone) {
  const auto key = AuditKey::Make();
  const auto other = AuditKey::Make();
  BOOST_REQUIRE((key && other));
  BOOST_TEST((key->public_key() != other->public_key()));
  Signature signature = key->Sign("head");
  BOOST_TEST(Fits(key->public_key(), "head", signature));
  BOOST_TEST(!Fits(key->public_key(), "heat", signature));
  BOOST_TEST(!Fits(other->public_key(), "head", signature));
  signature[40] ^= 1;
  BOOST_TEST(!Fits(key->public_key(), "head", signature));
}

BOOST_AUTO_TEST_CASE(TheSecretIsLockedAndNeitherDumpedNorInherited) {
  BOOST_TEST(Guarded().size() == 0U);
  {
    const auto key = AuditKey::Make();
    BOOST_REQUIRE(key);
    const auto guarded = Guarded();
    BOOST_REQUIRE(guarded.size() == 1U);
    BOOST_TEST(Has(guarded[0], "lo"));
    BOOST_TEST(Has(guarded[0], "dd"));
    BOOST_TEST(Has(guarded[0], "wf"));
    AuditKey moved = AuditKey::Make().value();
    AuditKey again = std::move(moved);
    BOOST_TEST(Fits(again.public_key(), "m", again.Sign("m")));
  }
  BOOST_TEST(Guarded().size() == 0U);
}

BOOST_AUTO_TEST_CASE(AChildCannotSign) {
  const auto key = AuditKey::Make();
  BOOST_REQUIRE(key);
  const pid_t child = fork();
  if (child == 0) _exit(Fits(key->public_key(), "m", key->Sign("m")) ? 1 : 0);
  int status = -1;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
  BOOST_TEST(Fits(key->public_key(), "m", key->Sign("m")));
}

BOOST_AUTO_TEST_CASE(NothingOfTheSecretIsLeftElsewhere) {
  const auto key = AuditKey::Make();
  BOOST_REQUIRE(key);
  for (int i = 0; i < 3; ++i) key->Sign("message " + std::to_string(i));
  const auto mappings = Mappings();
  const auto guarded = Guarded();
  BOOST_REQUIRE(guarded.size() == 1U);
  const auto patterns = SecretPatterns(std::bit_cast<const uint8_t*>(guarded[0].begin));
  // In a child, whose page is wiped, as a component would find it.
  const pid_t child = fork();
  if (child == 0) {
    int found = 0;
    for (size_t i = 0; i < patterns.size(); ++i) {
      if (InMemory(patterns[i], mappings)) found |= 1 << i;
    }
    _exit(found);
  }
  int status = -1;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
  // The search itself works: here the page is not wiped.
  BOOST_TEST(InMemory(patterns[0], mappings));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
