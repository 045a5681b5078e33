// SPDX-License-Identifier: Apache-2.0
#include "engine/observed_call.h"

#include <boost/test/unit_test.hpp>

#include "profiles/outer_bounds.h"
#include "profiles/profile.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

SeccompData Call(std::string_view name, std::array<uint64_t, 6> args = {}) {
  return {*SyscallNumber(Arch::kX86_64, name), AuditArch(Arch::kX86_64), 0, args};
}

bool Out(std::string_view name, std::array<uint64_t, 6> args = {}) {
  return IsOutOfBounds(Arch::kX86_64, Call(name, args));
}

std::string Told(std::string_view name, std::array<uint64_t, 6> args) {
  return ToldArguments(Arch::kX86_64, Call(name, args));
}

BOOST_AUTO_TEST_SUITE(ObservedCall)

BOOST_AUTO_TEST_CASE(WhatNoComponentMayDoIsOutOfBounds) {
  for (const uint32_t nr : ForbiddenCalls(Arch::kX86_64)) {
    BOOST_TEST(IsOutOfBounds(Arch::kX86_64, {nr, AuditArch(Arch::kX86_64), 0, {}}));
  }
  BOOST_TEST(IsOutOfBounds(Arch::kX86_64, {9999, AuditArch(Arch::kX86_64), 0, {}}));
  BOOST_TEST(Out("clone", {0x10000000}));   // CLONE_NEWUSER
  BOOST_TEST(!Out("clone", {0x01200011}));  // fork
  BOOST_TEST(Out("prctl", {1}));
  BOOST_TEST(!Out("prctl", {15}));
  BOOST_TEST(!Out("openat"));
}

BOOST_AUTO_TEST_CASE(SocketsAreUnixTcpAndUdp) {
  BOOST_TEST(!Out("socket", {1, 5}));
  BOOST_TEST(!Out("socketpair", {1, 5}));
  for (const uint64_t family : {1, 2, 10}) {
    for (const uint64_t type : {1, 2, 1 | 02000000}) {
      BOOST_TEST(!Out("socket", {family, type}));
    }
    BOOST_TEST(Out("socket", {family, 3}));
    BOOST_TEST(Out("socket", {family, 3 | 02000000}));
  }
  for (const uint64_t family : {0UL, 15UL, 16UL, 17UL, 38UL, 40UL, 0x100000028UL}) {
    BOOST_TEST(Out("socket", {family, 1}));
  }
  // MPTCP, SMC, SCTP, UDPLITE, ICMP.
  for (const auto& [type, protocol] :
       {std::pair{1, 262}, {1, 256}, {1, 132}, {5, 132}, {2, 136}, {2, 1}}) {
    BOOST_TEST(Out("socket", {2, static_cast<uint64_t>(type), static_cast<uint64_t>(protocol)}));
  }
  BOOST_TEST(!Out("socket", {2, 1, 6}));
  BOOST_TEST(!Out("socket", {10, 2, 17}));
  // The kernel reads an int.
  BOOST_TEST(!Out("socket", {0x100000002, 1}));
  BOOST_TEST(Out("socket", {2, 0x100000003}));
}

BOOST_AUTO_TEST_CASE(WhatEveryFilterClosesIsOutOfBounds) {
  BOOST_TEST(Out("sendto", {3, 0, 0, 0x20000000}));
  BOOST_TEST(!Out("sendto", {3, 0, 0, 0x4000}));
  BOOST_TEST(Out("sendmsg", {3, 0, 0x20000000}));
  BOOST_TEST(Out("sendmmsg", {3, 0, 1, 0x20000000}));
  BOOST_TEST(Out("renameat2", {3, 0, 3, 0, 4}));
  BOOST_TEST(!Out("renameat2", {3, 0, 3, 0, 1}));
  BOOST_TEST(Out("setsockopt", {3, 6, 31}));
  BOOST_TEST(!Out("setsockopt", {3, 6, 1}));
}

BOOST_AUTO_TEST_CASE(RequestsAreComparedAsTheKernelReadsThem) {
  for (const uint64_t request : {0x5412UL, 0x541cUL, 0xc0200a00UL, 0xc4405401UL}) {
    BOOST_TEST(Out("ioctl", {1, request}));
    BOOST_TEST(Out("ioctl", {1, request | (1UL << 32)}));
  }
  BOOST_TEST(!Out("ioctl", {1, 0x5401}));
}

BOOST_AUTO_TEST_CASE(OptionsAreToldAndNothingElse) {
  BOOST_TEST(Told("socket", {2, 1, 6}) == "domain=0x2 type=0x1 protocol=0x6");
  BOOST_TEST(Told("ioctl", {7, 0x100005401, 0x7fff00000000}) == "request=0x5401");
  BOOST_TEST(Told("read", {3, 0x7fff00000000, 4096}) == "");
  BOOST_TEST(Told("openat", {0xffffff9c, 0x7fff00000000, 0x80000, 0x1234}) == "flags=0x80000");
  BOOST_TEST(Told("prlimit64", {0, 7}) == "pid=0x0 resource=0x7");
  BOOST_TEST(Told("prlimit64", {4711, 7}) == "pid=0x1 resource=0x7");
  BOOST_TEST(Told("fcntl", {3, 2, 1}) == "cmd=0x2");
  BOOST_TEST(Told("fcntl", {3, 8, 4711}) == "cmd=0x8 arg=0x1");
  BOOST_TEST(Told("prctl", {15, 0x7fff00000000}) == "option=0xf");
  BOOST_TEST(Told("prctl", {4, 0}) == "option=0x4 arg2=0x0");
}

BOOST_AUTO_TEST_CASE(PathsHaveTheirRegisters) {
  const auto rename = PathsOf("renameat2");
  BOOST_REQUIRE(rename.first && rename.second);
  BOOST_TEST(rename.second->directory == 2);
  BOOST_TEST(rename.second->path == 3);
  BOOST_TEST((rename.first->use == PathUse::kRemove && rename.second->use == PathUse::kMake));
  BOOST_TEST((PathsOf("mkdirat").first->use == PathUse::kNew));
  BOOST_TEST((PathsOf("unlink").first->use == PathUse::kRemove));
  const auto link = PathsOf("linkat");
  BOOST_TEST((link.first->use == PathUse::kRemove && link.second->use == PathUse::kNew));
  BOOST_TEST(!PathsOf("read").first.has_value());
  // Each names registers that the call has, and pointers.
  for (const SyscallRow& row : AllSyscalls()) {
    const auto paths = PathsOf(row.name);
    const SyscallArgList args = SyscallArgs(Arch::kX86_64, row.name);
    for (const auto& path : {paths.first, paths.second}) {
      if (!path) continue;
      BOOST_REQUIRE_LT(path->path, static_cast<int>(args.size()));
      BOOST_CHECK_MESSAGE(args[path->path].type == ArgType::kPointer, row.name);
      if (path->flags >= 0) BOOST_TEST(args[path->flags].name == "flags", row.name);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
