// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets start from and what once was a finding, in every build. Each target must
// get all the way with some inputs and not with others: one that refuses everything checks nothing.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "profiles/arch.h"
#include "tests/fuzz/bundle_changer.h"
#include "tests/fuzz/bundle_input.h"
#include "tests/fuzz/compile_input.h"
#include "tests/fuzz/filter_input.h"
#include "tests/fuzz/plain_bpf.h"
#include "tests/fuzz/policy_maker.h"
#include "tests/fuzz/proof_input.h"
#include "tests/fuzz/seeds.h"

namespace bulkhead::testing {
namespace {

BOOST_AUTO_TEST_SUITE(FuzzReplay)

BOOST_AUTO_TEST_CASE(SeedsOfEachTarget) {
  for (const FuzzTarget& target : FuzzTargets()) {
    size_t through = 0;
    const auto seeds = target.seeds();
    for (const std::string& seed : seeds) through += target.run(seed);
    BOOST_TEST_MESSAGE(target.name << ": " << through << " of " << seeds.size());
    BOOST_TEST(through > 0U, target.name << ": none got through");
    // Beginnings of inputs are inputs, too.
    size_t cut = 0;
    for (const std::string& seed : seeds) cut += target.run(seed.substr(0, seed.size() / 2));
    BOOST_TEST(cut < seeds.size(), target.name << ": nothing is refused");
  }
}

BOOST_AUTO_TEST_CASE(Findings) {
  for (const FuzzTarget& target : FuzzTargets()) {
    for (const std::string& input : FindingsOf(target.name)) {
      BOOST_TEST(!input.empty());
      target.run(input);
    }
  }
}

BOOST_AUTO_TEST_CASE(PoliciesChangedByTheTable) {
  size_t compiled = 0;
  size_t different = 0;
  // Few compile; how many hangs on the language.
  for (uint32_t seed = 0; seed < 100 || (compiled == 0 && seed < 2000); ++seed) {
    PolicyMaker maker(seed);
    const std::string policy = maker.Policy();
    const std::string changed = maker.Changed(policy);
    different += changed != policy;
    compiled += TryCompileInput(changed);
  }
  BOOST_TEST(different > 80U);
  BOOST_TEST(compiled > 0U);
  BOOST_TEST(PolicyMaker(7).Policy() == PolicyMaker(7).Policy());
}

BOOST_AUTO_TEST_CASE(DictionaryHasTheLanguage) {
  const std::string dictionary = PolicyDictionary();
  for (const char* word : {"\"components: \"", "\"linux-6.18\"", "\"@io\"", "\"AF_UNIX\""}) {
    BOOST_TEST(dictionary.find(word) != std::string::npos, word);
  }
}

BOOST_AUTO_TEST_CASE(BundlesWithAWrongDigestAreReached) {
  const std::string whole = FindFuzzTarget("bundle")->seeds().front();
  std::string broken = whole;
  broken.back() ^= 1;
  broken[13] ^= 1;
  BOOST_TEST(TryBundleInput(broken));
  BOOST_TEST((Framed(whole.substr(16, whole.size() - 64)) ==
              std::vector<uint8_t>(whole.begin(), whole.end())));
  BOOST_TEST(!TryBundleInput(whole.substr(0, 40)));
}

BOOST_AUTO_TEST_CASE(BundlesChangedFieldByField) {
  const std::string whole = FindFuzzTarget("bundle")->seeds().front();
  size_t loaded = 0;
  constexpr uint32_t kChanges = 300;
  for (uint32_t seed = 0; seed < kChanges; ++seed) {
    const auto changed = ChangedBundle(whole, seed);
    BOOST_REQUIRE(changed.has_value());
    loaded += TryBundleInput(*changed);
  }
  BOOST_TEST_MESSAGE(loaded << " of " << kChanges << " changed bundles are loaded");
  BOOST_TEST(loaded > 0U);
  BOOST_TEST(loaded < kChanges);
  BOOST_TEST(!ChangedBundle(whole.substr(1), 1));
}

// The interpreter that the evaluator is compared with, by hand.
BOOST_AUTO_TEST_CASE(PlainInterpreter) {
  const SeccompData data{5, 7, 0x1111111122222222, {0x3333333344444444}};
  const auto loaded = [&](uint32_t offset, uint32_t value) {
    const Filter filter{
        {kLoad, 0, 0, offset}, {kJumpEqual, 0, 1, value}, {kReturn, 0, 0, 1}, {kReturn, 0, 0, 2}};
    BOOST_TEST(KernelLoads(filter));
    return RunPlainly(filter, data) == 1U;
  };
  BOOST_TEST(loaded(0, 5));
  BOOST_TEST(loaded(4, 7));
  BOOST_TEST(loaded(8, 0x22222222));
  BOOST_TEST(loaded(12, 0x11111111));
  BOOST_TEST(loaded(16, 0x44444444));
  BOOST_TEST(loaded(20, 0x33333333));
  BOOST_TEST(!loaded(20, 0x33333334));
  for (const Filter& bad :
       {Filter{}, Filter{{kLoad, 0, 0, 0}}, Filter{{kLoad, 0, 0, 2}, {kReturn, 0, 0, 0}},
        Filter{{kLoad, 0, 0, 64}, {kReturn, 0, 0, 0}},
        Filter{{kJumpAlways, 0, 0, 1}, {kReturn, 0, 0, 0}},
        Filter{{kJumpEqual, 0, 1, 0}, {kReturn, 0, 0, 0}},
        Filter{{0x34, 0, 0, 0}, {kReturn, 0, 0, 0}}}) {
    BOOST_TEST(!KernelLoads(bad));
  }
}

BOOST_AUTO_TEST_CASE(ProofsHaveAllOutcomes) {
  size_t refused = 0;
  size_t proved = 0;
  size_t disproved = 0;
  for (const std::string& seed : FindFuzzTarget("proof")->seeds()) {
    const ProofOutcome outcome = TryProofInput(seed);
    refused += outcome == ProofOutcome::kRefused;
    proved += outcome == ProofOutcome::kProved;
    disproved += outcome == ProofOutcome::kDisproved;
  }
  BOOST_TEST_MESSAGE(refused << " refused, " << proved << " proved, " << disproved << " disproved");
  BOOST_TEST(refused > 0U);
  BOOST_TEST(proved > 0U);
  BOOST_TEST(disproved > 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
