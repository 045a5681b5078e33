// SPDX-License-Identifier: Apache-2.0
// Landlock's audit records as text, and what they say. A pure parser: the text comes from the
// kernel, but paths and names in it are chosen by whoever was refused. The kernel writes such a
// value in quotes, or in hexadecimal when it holds a quote, a space or a byte outside printable
// ASCII, so splitting at spaces is exact (Documentation/admin-guide/LSM/landlock.rst, Linux 6.15;
// kernel/audit.c: audit_log_untrustedstring). Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bulkhead {

inline constexpr uint16_t kLandlockAccessRecord = 1423;
inline constexpr uint16_t kLandlockDomainRecord = 1424;

struct LandlockAccess {  // one refusal
  uint64_t serial = 0;
  uint64_t domain = 0;
  std::vector<std::string> blockers;  // "fs.read_file", "net.connect_tcp", "scope.signal", "ptrace"
  std::string path;    // raw bytes; for a creation the parent directory; "\0name" if abstract
  std::string device;  // of the path
  uint64_t inode = 0;
  std::string address;    // of a TCP refusal
  uint16_t port = 0;      // of a TCP refusal
  int32_t other_pid = 0;  // of a signal or ptrace refusal
  std::string other_comm;
  bool operator==(const LandlockAccess&) const = default;
};

struct LandlockDomainNews {  // at a domain's first refusal, and at its end if it had one
  uint64_t serial = 0;
  uint64_t domain = 0;
  bool ended = false;
  int32_t pid = 0;  // of the process that made the domain, in the initial PID namespace
  uint32_t uid = 0;
  std::string comm;
  uint64_t denials = 0;  // at the end: how many refusals the domain had
  bool operator==(const LandlockDomainNews&) const = default;
};

using LandlockRecord = std::variant<LandlockAccess, LandlockDomainNews>;

// Nothing for another type of record or a text that is not of the documented form.
std::optional<LandlockRecord> ParseLandlockRecord(uint16_t type, std::string_view text);

// What the refusal was about, for an event's object: "/etc/shadow", "127.0.0.1:8081", "[::1]:80",
// "pid 12 (redis-server)". Raw bytes where a path is.
std::string DescribeObject(const LandlockAccess& access);

// "fs.remove_file,fs.refer".
std::string JoinBlockers(const LandlockAccess& access);

}  // namespace bulkhead
