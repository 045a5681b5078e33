// SPDX-License-Identifier: Apache-2.0
// System calls of a compiled component: what is always there, always closed, absent, and executed.
#include <boost/test/unit_test.hpp>
#include <string>

#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::ActionOf;
using testing::Allows;
using testing::Compiled;
using testing::Granted;
using testing::MustCompile;
using testing::One;

std::string Allowing(const std::string& calls) {
  return Granted("    syscalls: {allow: [" + calls + "]}\n");
}

BOOST_AUTO_TEST_SUITE(PlanOfCalls)

BOOST_AUTO_TEST_CASE(WhatIsAlwaysThere) {
  const Compiled compiled = MustCompile(Granted(""));
  const ProfileData& one = compiled.Component("one");
  for (const char* call :
       {"close", "exit", "exit_group", "restart_syscall", "rt_sigreturn", "write"}) {
    BOOST_TEST(Allows(one, call), call);
  }
  for (const SyscallRow& row : AllSyscalls()) {
    if (!row.Number(Arch::kX86_64)) continue;
    const bool always = row.name == "close" || row.name == "exit" || row.name == "exit_group" ||
                        row.name == "restart_syscall" || row.name == "rt_sigreturn" ||
                        row.name == "write";
    if (!always) BOOST_TEST(ActionOf(one, row.name) == kRetUserNotif, row.name);
  }
}

BOOST_AUTO_TEST_CASE(ForeignCallsAreKilled) {
  const Compiled compiled = MustCompile(Allowing("\"@service\""));
  const ProfileData& one = compiled.Component("one");
  const uint32_t native = AuditArch(Arch::kX86_64);
  BOOST_TEST(Evaluate(one.filter, {0, native, 0, {}}).action == kRetAllow);
  BOOST_TEST(Evaluate(one.filter, {0x40000000, native, 0, {}}).action == kRetKillProcess);
  BOOST_TEST(Evaluate(one.filter, {0, 0x40000003, 0, {}}).action == kRetKillProcess);
}

// Allowed without a condition by the policy, and closed all the same.
BOOST_AUTO_TEST_CASE(WhatIsAlwaysClosed) {
  const Compiled compiled = MustCompile(Allowing("clone, prctl, ioctl"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST(Allows(one, "clone", {0x3d0f00}));  // a thread
  for (const uint64_t flag : {0x80ULL, 0x20000ULL, 0x2000000ULL, 0x4000000ULL, 0x8000000ULL,
                              0x10000000ULL, 0x20000000ULL, 0x40000000ULL}) {
    BOOST_TEST(!Allows(one, "clone", {flag | 17}), flag);
  }
  BOOST_TEST(Allows(one, "prctl", {15}));  // PR_SET_NAME
  BOOST_TEST(!Allows(one, "prctl", {1}));  // PR_SET_PDEATHSIG
  BOOST_TEST(!Allows(one, "prctl", {1 | uint64_t{1} << 32}));
  BOOST_TEST(Allows(one, "ioctl", {0, 0x5401}));  // TCGETS
  for (const uint64_t request : {0x5412ULL, 0x541cULL, 0xc0200a00ULL, 0xc4405401ULL}) {
    BOOST_TEST(!Allows(one, "ioctl", {0, request}), request);
    BOOST_TEST(!Allows(one, "ioctl", {0, request | uint64_t{1} << 32}), request);
  }
}

BOOST_AUTO_TEST_CASE(AbsentCalls) {
  const auto absent = [](const ProfileData& profile, std::string_view call) {
    return std::binary_search(profile.absent.begin(), profile.absent.end(),
                              *SyscallNumber(Arch::kX86_64, call));
  };
  const Compiled less = MustCompile(Granted(""));
  BOOST_TEST(absent(less.Component("one"), "clone3"));
  BOOST_TEST(absent(less.Component("one"), "statx"));
  BOOST_TEST(!absent(less.Component("one"), "ptrace"));
  BOOST_TEST(ActionOf(less.Component("one"), "clone3") == kRetUserNotif);
  const Compiled more = MustCompile(Allowing("statx"));
  BOOST_TEST(!absent(more.Component("one"), "statx"));
  BOOST_TEST(Allows(more.Component("one"), "statx"));
}

BOOST_AUTO_TEST_CASE(Execution) {
  const auto execve = [](const std::string& paths) {
    const Compiled compiled = MustCompile(One("    files: {execute: [" + paths + "]}\n"));
    BOOST_TEST(!Allows(compiled.Component("one"), "execveat"));
    return Allows(compiled.Component("one"), "execve");
  };
  BOOST_TEST(!execve("/usr/bin/one"));
  BOOST_TEST(!execve("/usr/bin/one, \"@loader\""));
  BOOST_TEST(!execve("/usr/bin/one, /usr/lib/x.so, /usr/lib/y.so.1"));
  BOOST_TEST(execve("/usr/bin/one, /usr/bin/other"));
  BOOST_TEST(execve("/usr/bin"));
}

BOOST_AUTO_TEST_CASE(DenyBeatsAllow) {
  const Compiled compiled =
      MustCompile(Granted("    syscalls: {allow: [\"@service\", lseek], deny: [lseek, "
                          "{fcntl: {cmd: [F_GETFL]}}]}\n"));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST(!Allows(one, "lseek"));
  BOOST_TEST(!Allows(one, "fcntl", {0, 3}));
  BOOST_TEST(Allows(one, "fcntl", {0, 1}));
}

// Every shipped group, on both architectures, gives a filter that is proved and passes the checks
// of a profile.
BOOST_AUTO_TEST_CASE(ShippedGroupsCompile) {
  const std::string text = Granted("");
  for (const char* target : {"linux-6.18", "linux-6.18-aarch64"}) {
    const Compiled base = MustCompile(text, {}, target);
    std::vector<SyscallGroup> groups;
    MustCompile(
        text, [&](LoadedPolicy& loaded) { groups = loaded.policy.groups; }, target);
    BOOST_TEST(groups.size() > 10U);
    for (const SyscallGroup& group : groups) {
      const Compiled compiled = MustCompile(Allowing("\"@" + group.name + "\""), {}, target);
      BOOST_TEST(compiled.Component("one").filter.size() >= base.Component("one").filter.size(),
                 group.name);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
