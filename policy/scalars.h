// SPDX-License-Identifier: Apache-2.0
// The spellings of single values: each parser accepts one spelling of each value and nothing else.
// Units are those of docs/LANGUAGE.md. Pure, thread-safe; nullopt: not such a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace bulkhead {

std::optional<uint64_t> ParseInteger(std::string_view text);  // 0|[1-9][0-9]*
std::optional<int64_t> ParseSigned(std::string_view text);    // -?, the same; "-0" is none
std::optional<uint64_t> ParseSize(std::string_view text);     // 64M -> bytes; K, M, G
std::optional<uint64_t> ParseTime(std::string_view text);     // 5s -> milliseconds; s, m, h
std::optional<uint32_t> ParsePercent(std::string_view text);  // 50% -> 50
// 10/min -> 10 and 60000 milliseconds; s, min, h
std::optional<std::pair<uint32_t, uint32_t>> ParseRate(std::string_view text);
std::optional<uint32_t> ParseUmask(std::string_view text);   // 0077, four octal digits
std::optional<uint32_t> ParseSignal(std::string_view text);  // TERM -> 15
std::optional<std::pair<uint32_t, uint32_t>> ParseKernel(std::string_view text);  // 6.18

bool IsName(std::string_view text);          // [a-z][a-z0-9-]{0,31}
bool IsVariableName(std::string_view text);  // as a name
bool IsEnvName(std::string_view text);       // [A-Za-z_][A-Za-z0-9_]{0,127}
bool IsCallName(std::string_view text);      // [a-z_][a-z0-9_]{0,63}
bool IsConstantName(std::string_view text);  // [A-Z_][A-Z0-9_]{0,63}
bool IsDate(std::string_view text);          // YYYY-MM-DD, a day that exists
bool IsIpv4(std::string_view text);

// The number of an IPv4 address, its first part on top.
std::optional<uint32_t> ParseIpv4(std::string_view text);

// Of vsock: a context and a port.
struct VsockAddress {
  uint32_t cid = 0;
  uint32_t port = 0;
};
inline constexpr uint32_t kVsockParent = 3;  // of a Nitro enclave
// `parent:PORT` or `CID:PORT`; neither the CID nor the port is the one that stands for any.
std::optional<VsockAddress> ParseVsockAddress(
    std::string_view text);  // four decimal numbers, no leading zeros

// Plain words that some YAML readers take for a boolean: yes, No, on, y, TRUE, true ...
bool ReadsAsBoolean(std::string_view text);
// Plain words that YAML readers take for different numbers: 0x1F, 08, 1_000, 1e3, 1:30.
bool ReadsAsOddNumber(std::string_view text);

}  // namespace bulkhead
