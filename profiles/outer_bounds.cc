// SPDX-License-Identifier: Apache-2.0
#include "profiles/outer_bounds.h"

#include <algorithm>

#include "profiles/profile.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

struct OutOfBounds {
  std::string_view call;
  unsigned arg;
  uint64_t mask;
  uint64_t value;  // out of bounds where (argument & mask) is it ...
  bool negated;    // ... or is not
};
constexpr uint64_t kAll = 0xffffffff;
// CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
constexpr uint64_t kNewNamespaces = 0x7e020080;
constexpr uint64_t kSocketType = 0xf;  // without SOCK_NONBLOCK and SOCK_CLOEXEC
constexpr uint64_t kSockRaw = 3;
constexpr uint64_t kSockPacket = 10;
constexpr uint64_t kFastOpen = 0x20000000;  // MSG_FASTOPEN: connects without connect(2)
// What every filter closes (compiler/plan_calls.cc, AlwaysClosed) is out of bounds, too.
constexpr OutOfBounds kOutOfBounds[] = {
    {"sendto", 3, kFastOpen, kFastOpen, false},
    {"sendmsg", 2, kFastOpen, kFastOpen, false},
    {"sendmmsg", 3, kFastOpen, kFastOpen, false},
    {"renameat2", 4, 4, 4, false},  // RENAME_WHITEOUT
    {"clone", 0, kNewNamespaces, 0, true},
    {"socket", 1, kSocketType, kSockRaw, false},
    {"socket", 1, kSocketType, kSockPacket, false},
    {"prctl", 0, kAll, 1, false},           // PR_SET_PDEATHSIG
    {"prctl", 0, kAll, 22, false},          // PR_SET_SECCOMP
    {"ioctl", 1, kAll, 0x5412, false},      // TIOCSTI
    {"ioctl", 1, kAll, 0x541c, false},      // TIOCLINUX
    {"ioctl", 1, kAll, 0xc0200a00, false},  // attestation: NSM
    {"ioctl", 1, kAll, 0xc4405401, false},  // attestation: TDX report
};

// AF_UNIX, AF_INET, AF_INET6.
constexpr uint32_t kFamilies[] = {1, 2, 10};

// TCP and UDP, by type and protocol: Landlock is asked about no other one (MPTCP, SMC, SCTP).
bool IsInternet(uint32_t family, uint64_t type, uint32_t protocol) {
  constexpr uint64_t kStream = 1;
  constexpr uint64_t kDatagram = 2;
  constexpr uint32_t kTcp = 6;
  constexpr uint32_t kUdp = 17;
  if (family == kFamilies[0]) return true;
  if ((type & kSocketType) == kStream) return protocol == 0 || protocol == kTcp;
  return (type & kSocketType) == kDatagram && (protocol == 0 || protocol == kUdp);
}

// SOL_TCP, TCP_ULP: makes a TCP socket one of AF_SMC.
bool IsUpperProtocol(std::string_view call, const SeccompData& data) {
  return call == "setsockopt" && static_cast<uint32_t>(data.args[1]) == 6 &&
         static_cast<uint32_t>(data.args[2]) == 31;
}

bool ByFamily(std::string_view call) { return call == "socket" || call == "socketpair"; }

}  // namespace

bool IsOutOfBounds(Arch arch, const SeccompData& data) {
  const auto forbidden = ForbiddenCalls(arch);
  if (std::find(forbidden.begin(), forbidden.end(), data.nr) != forbidden.end()) return true;
  const std::string_view name = SyscallName(arch, data.nr);
  if (name.empty()) return true;  // newer than what is known
  const auto family = static_cast<uint32_t>(data.args[0]);
  if (ByFamily(name) &&
      std::find(std::begin(kFamilies), std::end(kFamilies), family) == std::end(kFamilies)) {
    return true;
  }
  const auto protocol = static_cast<uint32_t>(data.args[2]);
  if (ByFamily(name) && !IsInternet(family, data.args[1], protocol)) return true;
  if (IsUpperProtocol(name, data)) return true;
  return std::any_of(std::begin(kOutOfBounds), std::end(kOutOfBounds), [&](const auto& row) {
    return row.call == name && ((data.args[row.arg] & row.mask) == row.value) != row.negated;
  });
}

bool HasOuterBounds(std::string_view call) {
  return ByFamily(call) || call == "setsockopt" ||
         std::any_of(std::begin(kOutOfBounds), std::end(kOutOfBounds),
                     [&](const auto& row) { return row.call == call; });
}

}  // namespace bulkhead
