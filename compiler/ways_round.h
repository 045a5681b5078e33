// SPDX-License-Identifier: Apache-2.0
// What the table of ways round is written with: constants of the kernel and questions to a compiled
// component. Internal to compiler/. Numbers are those of include/uapi of Linux 7.2. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "compiler/closure.h"
#include "compiler/resolve_calls.h"

namespace bulkhead {

std::vector<WayRound> FileWays();     // files, execute, memory, devices
std::vector<WayRound> NetworkWays();  // tcp, udp, unix, vsock
std::vector<WayRound> ProcessWays();  // processes, signals, calls

inline constexpr uint64_t kAfUnix = 1;
inline constexpr uint64_t kAfInet = 2;
inline constexpr uint64_t kAfInet6 = 10;
inline constexpr uint64_t kAfPacket = 17;
inline constexpr uint64_t kAfVsock = 40;
inline constexpr uint64_t kAfSmc = 43;
inline constexpr uint64_t kSockTypeMask = 0xf;  // SOCK_TYPE_MASK, net/socket.h
inline constexpr uint64_t kSockStream = 1;
inline constexpr uint64_t kSockDgram = 2;
inline constexpr uint64_t kSockRaw = 3;
inline constexpr uint64_t kSockPacket = 10;
inline constexpr uint64_t kProtoTcp = 6;
inline constexpr uint64_t kProtoUdp = 17;
inline constexpr uint64_t kProtoMptcp = 262;
inline constexpr uint64_t kFastOpen = 0x20000000;  // MSG_FASTOPEN
inline constexpr uint64_t kProtWrite = 2;
inline constexpr uint64_t kProtExec = 4;
inline constexpr uint64_t kMapType = 0xf;
inline constexpr uint64_t kMapPrivate = 2;
inline constexpr uint64_t kRenameWhiteout = 4;
inline constexpr uint64_t kSolTcp = 6;
inline constexpr uint64_t kTcpUlp = 31;
inline constexpr uint64_t kShmExec = 0100000;
inline constexpr uint64_t kReadImpliesExec = 0x400000;
inline constexpr uint64_t kTiocsti = 0x5412;
inline constexpr uint64_t kTioclinux = 0x541c;
inline constexpr uint64_t kNsm = 0xc0200a00;
inline constexpr uint64_t kTdxReport = 0xc4405401;
inline constexpr uint64_t kNamespaces =
    0x7e020080;  // CLONE_NEWTIME, NS, CGROUP, UTS, IPC, USER, PID, NET

inline constexpr std::string_view kEver = "";
inline constexpr std::string_view kRuntimeFd =
    "every descriptor but those of the policy is closed before the program starts";

Condition Not(Condition condition);
// `arg` has all bits of `mask`, whatever stands in the half of the register that is not read.
Condition Bits(unsigned arg, uint64_t mask);
std::vector<CallForm> Calls(std::initializer_list<std::string_view> names);
// Internet sockets for which all of `when` holds.
std::vector<CallForm> Internet(const Conjunction& when);
std::vector<CallForm> Joined(std::vector<CallForm> a, const std::vector<CallForm>& b);
std::vector<CallForm> Ioctls(std::initializer_list<uint64_t> requests);
bool WritesFiles(const Inside& inside);
bool HandlesAll(const Inside& inside, uint64_t rights);
// Landlock handles the rights and no rule beneath what keeps its content grants one.
bool NoRuleGrants(const Inside& inside, uint64_t rights);
// What is mapped as code is on read-only mounts, and nobody of the enclave writes beneath them.
bool CodeIsNobodys(const Inside& inside);
bool IsWriteXorExecute(const Inside& inside);
bool HasTcpListener(const Inside& inside);
bool HasInternet(const Inside& inside);
bool PeersHaveInternet(const Inside& inside);  // those who could pass it a socket
bool IsUnlinked(const Inside& inside);
bool AllListenersGuarded(const Inside& inside);
// No socket of another edge is in the view.
bool OwnEdgesAlone(const Inside& inside);
// No directory in which sockets of the image lie.
bool ReadsNoSocketPlaces(const Inside& inside);
// No read-only path but those of `execute` and of path sets.
bool ReadsLibrariesAlone(const Inside& inside);
// No file of the enclave is another component's, too.
bool SharesNoFiles(const Inside& inside);
bool HidesSupervisor(const Inside& inside);
bool HasNoDevice(const Inside& inside, std::initializer_list<std::string_view> starts);
bool ProcIsNotWritten(const Inside& inside);
bool EveryCallHasAName(const Inside& inside);
Closer Kept(Layer layer, std::string_view text);
Closer Refused(std::string_view text, std::vector<CallForm> forms);
Closer Checked(Layer layer, std::string_view text, std::function<bool(const Inside&)> holds);

}  // namespace bulkhead
