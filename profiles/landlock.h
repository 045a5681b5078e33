// SPDX-License-Identifier: Apache-2.0
// Every Landlock constant bulkhead uses, in one table with the ABI and kernel release that brought
// it. Debian 12's own header stops at ABI 2. Source: include/uapi/linux/landlock.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace bulkhead::landlock {

enum class Scope : uint8_t { kFile, kDirectory };  // what a right can be granted on

struct Right {
  std::string_view name;  // as in audit records, "fs.read_file"
  uint64_t bit;
  int abi;
  Scope smallest;  // kFile: valid on files and directories; kDirectory: EINVAL on a file
};

inline constexpr uint64_t kExecute = 1U << 0;
inline constexpr uint64_t kWriteFile = 1U << 1;
inline constexpr uint64_t kReadFile = 1U << 2;
inline constexpr uint64_t kReadDir = 1U << 3;
inline constexpr uint64_t kRemoveDir = 1U << 4;
inline constexpr uint64_t kRemoveFile = 1U << 5;
inline constexpr uint64_t kMakeChar = 1U << 6;
inline constexpr uint64_t kMakeDir = 1U << 7;
inline constexpr uint64_t kMakeReg = 1U << 8;
inline constexpr uint64_t kMakeSock = 1U << 9;
inline constexpr uint64_t kMakeFifo = 1U << 10;
inline constexpr uint64_t kMakeBlock = 1U << 11;
inline constexpr uint64_t kMakeSym = 1U << 12;
inline constexpr uint64_t kRefer = 1U << 13;
inline constexpr uint64_t kTruncate = 1U << 14;
inline constexpr uint64_t kIoctlDev = 1U << 15;

inline constexpr Right kRights[] = {
    {"fs.execute", kExecute, 1, Scope::kFile},
    {"fs.write_file", kWriteFile, 1, Scope::kFile},
    {"fs.read_file", kReadFile, 1, Scope::kFile},
    {"fs.read_dir", kReadDir, 1, Scope::kDirectory},
    {"fs.remove_dir", kRemoveDir, 1, Scope::kDirectory},
    {"fs.remove_file", kRemoveFile, 1, Scope::kDirectory},
    {"fs.make_char", kMakeChar, 1, Scope::kDirectory},
    {"fs.make_dir", kMakeDir, 1, Scope::kDirectory},
    {"fs.make_reg", kMakeReg, 1, Scope::kDirectory},
    {"fs.make_sock", kMakeSock, 1, Scope::kDirectory},
    {"fs.make_fifo", kMakeFifo, 1, Scope::kDirectory},
    {"fs.make_block", kMakeBlock, 1, Scope::kDirectory},
    {"fs.make_sym", kMakeSym, 1, Scope::kDirectory},
    {"fs.refer", kRefer, 2, Scope::kDirectory},
    {"fs.truncate", kTruncate, 3, Scope::kFile},
    {"fs.ioctl_dev", kIoctlDev, 5, Scope::kFile},
};

inline constexpr uint64_t kBindTcp = 1U << 0;     // ABI 4, Linux 6.7
inline constexpr uint64_t kConnectTcp = 1U << 1;  // ABI 4
inline constexpr int kNetAbi = 4;

inline constexpr uint64_t kScopeAbstractUnix = 1U << 0;  // ABI 6, Linux 6.12
inline constexpr uint64_t kScopeSignal = 1U << 1;        // ABI 6
inline constexpr int kScopeAbi = 6;

// Flags of landlock_restrict_self, ABI 7, Linux 6.15.
inline constexpr uint32_t kLogSameExecOff = 1U << 0;  // of the program that enters the domain
inline constexpr uint32_t kLogNewExecOn = 1U << 1;
inline constexpr int kLogAbi = 7;

inline constexpr int kRuleTypePathBeneath = 1;
inline constexpr int kRuleTypeNetPort = 2;

// All file rights known at an ABI.
constexpr uint64_t FileRights(int abi) {
  uint64_t mask = 0;
  for (const Right& right : kRights) {
    if (right.abi <= abi) mask |= right.bit;
  }
  return mask;
}

// Those of them that may be granted on a regular file.
constexpr uint64_t RightsOnFiles() {
  uint64_t mask = 0;
  for (const Right& right : kRights) {
    if (right.smallest == Scope::kFile) mask |= right.bit;
  }
  return mask;
}

}  // namespace bulkhead::landlock
