// SPDX-License-Identifier: Apache-2.0
#include "sandbox/probe_kernel.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "sandbox/cgroup_mounts.h"
#include "tests/support/child.h"

namespace bulkhead {
namespace {

bool Mentions(const std::vector<std::string>& lines, std::string_view word) {
  return std::any_of(lines.begin(), lines.end(), [word](const std::string& line) {
    return line.find(word) != std::string::npos;
  });
}

// Takes one capability away from this process.
void Drop(uint32_t capability) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  syscall(SYS_capget, &header, sets);
  sets[capability / 32].effective &= ~(1U << (capability % 32));
  syscall(SYS_capset, &header, sets);
}

BOOST_AUTO_TEST_SUITE(ProbedMachine)

BOOST_AUTO_TEST_CASE(DumpsToASocketAreSeen) {
  for (const char* pattern : {"@/run/coredump.sock\n", "@@/run/coredump.sock"}) {
    BOOST_TEST(DumpsToSocket(pattern), pattern);
  }
  for (const char* pattern : {"core\n", "|/usr/share/apport/apport %p\n", "/tmp/@core", ""}) {
    BOOST_TEST(!DumpsToSocket(pattern), pattern);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(RunningKernel)

BOOST_AUTO_TEST_CASE(TheTargetNamesItsKernel) {
  const Target target = RunningTarget("here");
  utsname system = {};
  BOOST_REQUIRE(uname(&system) == 0);
  BOOST_TEST(target.name == "here");
  BOOST_TEST((target.arch == NativeArch()));
  BOOST_TEST(std::string(system.release)
                 .starts_with(std::to_string(target.kernel_major) + "." +
                              std::to_string(target.kernel_minor)));
}

BOOST_AUTO_TEST_CASE(TwoProbesAgree) { BOOST_TEST((ProbeKernel() == ProbeKernel())); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(KernelProbe)

// What a release has and root with all its namespaces may use must be found.
BOOST_AUTO_TEST_CASE(RootFindsWhatTheReleaseHas) {
  const Target target = RunningTarget("here");
  const auto at_least = [&](uint32_t major, uint32_t minor) {
    return std::pair(target.kernel_major, target.kernel_minor) >= std::pair(major, minor);
  };
  const FeatureSet& features = target.features;
  for (const Feature feature :
       {Feature::kMountNamespace, Feature::kPidNamespace, Feature::kIpcNamespace,
        Feature::kUtsNamespace, Feature::kNetNamespace, Feature::kFanotifyPerm}) {
    BOOST_TEST(features.Has(feature), Info(feature).key);
  }
  BOOST_TEST(features.Has(Feature::kSeccompNotify) == at_least(5, 0));
  BOOST_TEST(features.Has(Feature::kSeccompTrace) == at_least(4, 8));
  BOOST_TEST(features.Has(Feature::kPidfd) == at_least(5, 6));
  BOOST_TEST(features.Has(Feature::kCloseRange) == at_least(5, 9));
  BOOST_TEST(features.Has(Feature::kProcSubsetPid) == at_least(5, 8));
  BOOST_TEST(features.Has(Feature::kSeccompWaitKillable) == at_least(5, 19));
  BOOST_TEST(features.Has(Feature::kSeccompSyncWake) == at_least(6, 6));
  const bool audit = features.Level(Feature::kLandlock) >= 7 && MissingPrivileges().empty();
  BOOST_TEST(features.Has(Feature::kLandlockAudit) == audit);
}

BOOST_AUTO_TEST_CASE(WithoutPrivilegeFeaturesAreAbsent) {
  const int code = test::ExitOf([] {
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) return 10;
    const FeatureSet features = ProbeKernel();
    for (const Feature feature :
         {Feature::kMountNamespace, Feature::kPidNamespace, Feature::kFanotifyPerm,
          Feature::kLandlockAudit, Feature::kCgroupMemory}) {
      if (features.Has(feature)) return 20 + static_cast<int>(feature);
    }
    // What needs no privilege stays.
    return features.Has(Feature::kCloseRange) && features.Has(Feature::kSeccompNotify) ? 0 : 11;
  });
  BOOST_TEST(code == 0);
}

BOOST_AUTO_TEST_CASE(MissingPrivilegesAreNamed) {
  BOOST_TEST(MissingPrivileges().empty());  // these tests run as root in the first namespaces
  const int without_capability = test::ExitOf([] {
    Drop(CAP_AUDIT_CONTROL);
    const auto missing = MissingPrivileges();
    const bool found = !ProbeKernel().Has(Feature::kLandlockAudit);
    return Mentions(missing, "CAP_AUDIT_CONTROL") && missing.size() == 1 && found &&
                   MissingPrivileges(false).empty()
               ? 0
               : 1;
  });
  BOOST_TEST(without_capability == 0);
  const int as_nobody = test::ExitOf([] {
    if (setresuid(65534, 65534, 65534) != 0) return 10;
    const auto missing = MissingPrivileges();
    return Mentions(missing, "uid 0") && Mentions(missing, "CAP_SETUID") ? 0 : 1;
  });
  BOOST_TEST(as_nobody == 0);
}

BOOST_AUTO_TEST_CASE(OtherNamespacesHaveNoKernelAudit) {
  const int other_pid = test::ExitOf([] {
    if (unshare(CLONE_NEWPID) != 0) return 10;
    return test::ExitOf([] {
      const bool named = Mentions(MissingPrivileges(), "initial PID namespace");
      return named && !ProbeKernel().Has(Feature::kLandlockAudit) ? 0 : 1;
    });
  });
  BOOST_TEST(other_pid == 0);
  const int other_net = test::ExitOf([] {
    if (unshare(CLONE_NEWNET) != 0) return 10;
    const bool named = Mentions(MissingPrivileges(), "initial network namespace");
    return named && !ProbeKernel().Has(Feature::kLandlockAudit) ? 0 : 1;
  });
  BOOST_TEST(other_net == 0);
}

BOOST_AUTO_TEST_CASE(NothingLasts) {
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = descriptors();
  const std::string mounts = ReadSmallFile("/proc/self/mountinfo");
  ProbeKernel();
  BOOST_TEST(descriptors() == before);
  BOOST_TEST(ReadSmallFile("/proc/self/mountinfo") == mounts);
  BOOST_TEST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
  BOOST_TEST(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
  const CgroupPlaces places = FindCgroups();
  const std::string left = "/bulkhead-probe-" + std::to_string(getpid());
  for (const Controller controller : kControllers) {
    if (places.At(controller).version == 0) continue;
    BOOST_TEST(access((places.At(controller).directory + left).c_str(), F_OK) != 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
