// SPDX-License-Identifier: Apache-2.0
// Every kernel that offers less than a bundle needs, without that kernel: the features are plain
// values here.
#include "engine/check.h"

#include <boost/test/unit_test.hpp>

#include "tests/support/sample.h"

namespace bulkhead {
namespace {

FeatureSet Everything() {
  FeatureSet features;
  for (const FeatureInfo& info : Features()) features.Set(info.feature, 9);
  return features;
}

Bundle Needing(Feature feature, uint32_t level) {
  BundleData data = test::SampleBundle();
  data.requirements = {{feature, level, "one", "components.one.statement"}};
  auto bundle = Bundle::Make(std::move(data));
  BOOST_REQUIRE(bundle.has_value());
  return *bundle;
}

BOOST_AUTO_TEST_SUITE(UnmetRequirementsOfAKernel)

BOOST_AUTO_TEST_CASE(AKernelWithEverythingBoots) {
  for (const FeatureInfo& info : Features()) {
    BOOST_TEST(UnmetRequirements(Needing(info.feature, 1), NativeArch(), Everything()).empty());
  }
}

BOOST_AUTO_TEST_CASE(EachMissingFeatureIsNamedWithItsStatement) {
  for (const FeatureInfo& info : Features()) {
    FeatureSet kernel = Everything();
    kernel.Set(info.feature, 0);
    const auto lines = UnmetRequirements(Needing(info.feature, 1), NativeArch(), kernel);
    BOOST_TEST_CONTEXT(info.key) {
      BOOST_REQUIRE(lines.size() == 1U);
      BOOST_TEST(lines[0].find("`components.one.statement`") != std::string::npos, lines[0]);
      BOOST_TEST(lines[0].find(info.what) != std::string::npos, lines[0]);
    }
  }
}

BOOST_AUTO_TEST_CASE(ALowerLandlockAbiIsNotEnough) {
  FeatureSet kernel = Everything();
  for (uint32_t abi = 0; abi < 9; ++abi) {
    kernel.Set(Feature::kLandlock, abi);
    const auto lines = UnmetRequirements(Needing(Feature::kLandlock, 6), NativeArch(), kernel);
    BOOST_TEST(lines.empty() == (abi >= 6));
  }
}

BOOST_AUTO_TEST_CASE(AnotherArchitectureIsRefused) {
  const Arch other = NativeArch() == Arch::kX86_64 ? Arch::kAarch64 : Arch::kX86_64;
  BOOST_TEST(UnmetRequirements(Needing(Feature::kPidfd, 1), other, Everything()).size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
