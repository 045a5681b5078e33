// SPDX-License-Identifier: Apache-2.0
// Replays the corpus of the fuzz target, and cuts of it: every prefix of a policy is some policy.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>

#include "tests/fuzz/policy_input.h"
#include "tests/policy/support.h"

namespace bulkhead::testing {
namespace {

BOOST_AUTO_TEST_SUITE(FuzzCorpus)

BOOST_AUTO_TEST_CASE(EveryFileIsAcceptedOrRefused) {
  size_t files = 0;
  for (const char* folder : {"broken", "data"}) {
    for (const auto& entry : std::filesystem::directory_iterator(TestFolder() / folder)) {
      if (entry.path().extension() != ".yaml") continue;
      TryPolicyInput(ReadAll(entry.path()));
      ++files;
    }
  }
  BOOST_TEST(files > 100U);
}

BOOST_AUTO_TEST_CASE(EveryCutIsAcceptedOrRefused) {
  const std::string text = ReadAll(TestFolder() / "data" / "design-enforced.yaml");
  BOOST_TEST_REQUIRE(text.size() > 1000U);
  constexpr size_t kStep = 61;  // a prime: cuts fall into all kinds of places
  for (size_t size = 0; size < text.size(); size += kStep) TryPolicyInput(text.substr(0, size));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
