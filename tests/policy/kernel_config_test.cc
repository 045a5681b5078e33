// SPDX-License-Identifier: Apache-2.0
#include "policy/kernel_config.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace bulkhead {
namespace {

const std::string kAll =
    "CONFIG_SECURITY_LANDLOCK=y\nCONFIG_SECCOMP_FILTER=y\nCONFIG_PID_NS=y\nCONFIG_IPC_NS=y\n"
    "CONFIG_UTS_NS=y\nCONFIG_NET_NS=y\nCONFIG_PROC_FS=y\nCONFIG_FANOTIFY=y\n"
    "CONFIG_FANOTIFY_ACCESS_PERMISSIONS=y\nCONFIG_AUDIT=y\nCONFIG_MEMCG=y\nCONFIG_CGROUP_PIDS=y\n"
    "CONFIG_FAIR_GROUP_SCHED=y\nCONFIG_CFS_BANDWIDTH=y\nCONFIG_BPF_SYSCALL=y\n"
    "CONFIG_CGROUP_BPF=y\nCONFIG_LSM=\"landlock,lockdown,bpf\"\n";

std::string Config(const std::string& release, const std::string& body,
                   const std::string& arch = "CONFIG_X86_64=y\n") {
  return "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 " + release +
         " Kernel Configuration\n#\n" + arch + body;
}

ConfiguredKernel Read(const std::string& text) {
  auto kernel = ReadKernelConfig(text, "test");
  BOOST_REQUIRE(kernel.has_value());
  return *kernel;
}

const ConfigLimit* LimitOf(const ConfiguredKernel& kernel, Feature feature) {
  const auto found = std::find_if(kernel.limits.begin(), kernel.limits.end(),
                                  [&](const auto& limit) { return limit.feature == feature; });
  return found == kernel.limits.end() ? nullptr : &*found;
}

std::string Without(std::string text, const std::string& line) {
  const size_t at = text.find(line);
  BOOST_REQUIRE(at != std::string::npos);
  return text.erase(at, line.size());
}

BOOST_AUTO_TEST_SUITE(KernelConfiguration)

BOOST_AUTO_TEST_CASE(TheNewestKernelWithEverythingHasNoLimit) {
  const ConfiguredKernel kernel = Read(Config("7.2.0", kAll));
  BOOST_TEST(kernel.limits.empty());
  BOOST_TEST((kernel.target.arch == Arch::kX86_64));
  BOOST_TEST(kernel.target.kernel_major == 7U);
  BOOST_TEST(kernel.target.kernel_minor == 2U);
  for (const FeatureInfo& info : Features()) BOOST_TEST(kernel.target.features.Has(info.feature));
}

BOOST_AUTO_TEST_CASE(LandlockGrowsWithTheRelease) {
  for (const auto& [release, abi] : {std::pair("5.12.9", 0U),
                                     {"5.13.0", 1U},
                                     {"6.1.176", 2U},
                                     {"6.6.79", 3U},
                                     {"6.8.12", 4U},
                                     {"6.12.0", 6U},
                                     {"6.18.4", 7U},
                                     {"7.0.1-gcp", 8U}}) {
    const ConfiguredKernel kernel = Read(Config(release, kAll));
    BOOST_TEST(kernel.target.features.Level(Feature::kLandlock) == abi, release);
    BOOST_TEST((LimitOf(kernel, Feature::kLandlock) != nullptr), release);
  }
}

BOOST_AUTO_TEST_CASE(WhatIsNotBuiltIsALimitWithItsLine) {
  const ConfiguredKernel kernel =
      Read(Config("6.18.0", Without(kAll, "CONFIG_FANOTIFY_ACCESS_PERMISSIONS=y\n") +
                                "# CONFIG_FANOTIFY_ACCESS_PERMISSIONS is not set\n"));
  BOOST_TEST(!kernel.target.features.Has(Feature::kFanotifyPerm));
  const ConfigLimit* limit = LimitOf(kernel, Feature::kFanotifyPerm);
  BOOST_REQUIRE(limit != nullptr);
  BOOST_TEST(limit->lines == std::vector<std::string>{"CONFIG_FANOTIFY_ACCESS_PERMISSIONS=y"},
             boost::test_tools::per_element());
  BOOST_TEST(limit->since.empty());
}

// A list that names Landlock builds nothing, and what is built but not listed isn't active.
BOOST_AUTO_TEST_CASE(LandlockMustBeBuiltAndListed) {
  const ConfiguredKernel listed =
      Read(Config("6.6.79", Without(kAll, "CONFIG_SECURITY_LANDLOCK=y\n")));
  BOOST_TEST(!listed.target.features.Has(Feature::kLandlock));
  const ConfiguredKernel built =
      Read(Config("6.6.79", Without(kAll, "CONFIG_LSM=\"landlock,lockdown,bpf\"\n") +
                                "CONFIG_LSM=\"lockdown,landlocked\"\n"));
  BOOST_TEST(!built.target.features.Has(Feature::kLandlock));
  BOOST_TEST(LimitOf(built, Feature::kLandlock)->lines ==
                 std::vector<std::string>{"CONFIG_LSM=\"landlock,lockdown,landlocked\""},
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(AnOldKernelNeedsANewerOne) {
  const ConfiguredKernel kernel = Read(Config("4.14.256", kAll));
  for (const auto& [feature, since] : {std::pair(Feature::kSeccompNotify, "5.0"),
                                       {Feature::kPidfd, "5.6"},
                                       {Feature::kConnectGuard, "4.17"},
                                       {Feature::kLandlock, "5.13"}}) {
    BOOST_TEST(!kernel.target.features.Has(feature));
    BOOST_TEST(LimitOf(kernel, feature)->since == since);
  }
  BOOST_TEST(kernel.target.features.Has(Feature::kSeccompTrace));
  BOOST_TEST(kernel.target.features.Level(Feature::kCgroupCpu) == 1U);
  BOOST_TEST(kernel.target.features.Level(Feature::kCgroupPids) == 2U);
}

BOOST_AUTO_TEST_CASE(WhatIsNoConfigurationIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("CONFIG_X86_64=y\n"), Config("x", kAll), Config("6.", kAll),
        Config("6.1", kAll, "CONFIG_RISCV=y\n"), std::string(100, '\0')}) {
    BOOST_TEST(!ReadKernelConfig(text, "test").has_value());
  }
  BOOST_TEST((Read(Config("6.1", kAll, "CONFIG_ARM64=y\n")).target.arch == Arch::kAarch64));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
