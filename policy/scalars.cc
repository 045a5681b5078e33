// SPDX-License-Identifier: Apache-2.0
#include "policy/scalars.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string>

namespace bulkhead {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }

bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
}

struct Unit {
  char letter;
  uint64_t factor;
};
constexpr Unit kSizes[] = {{'K', 1ULL << 10}, {'M', 1ULL << 20}, {'G', 1ULL << 30}};
constexpr Unit kTimes[] = {{'s', 1000}, {'m', 60'000}, {'h', 3'600'000}};

template <size_t N>
std::optional<uint64_t> ParseUnit(std::string_view text, const Unit (&units)[N]) {
  if (text.empty()) return std::nullopt;
  const auto number = ParseInteger(text.substr(0, text.size() - 1));
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.letter != text.back()) continue;
    if (*number > std::numeric_limits<uint64_t>::max() / unit.factor) return std::nullopt;
    return *number * unit.factor;
  }
  return std::nullopt;
}

struct Signal {
  std::string_view name;
  uint32_t number;  // the same on x86_64 and aarch64
};
constexpr Signal kSignals[] = {{"HUP", 1},   {"INT", 2},   {"QUIT", 3},  {"KILL", 9},
                               {"USR1", 10}, {"USR2", 12}, {"TERM", 15}, {"WINCH", 28}};

uint32_t DaysOf(uint32_t year, uint32_t month) {
  constexpr uint32_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12) return 0;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

uint32_t Number(std::string_view digits) {
  uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

template <typename First, typename Rest>
bool IsWord(std::string_view text, size_t longest, First first, Rest rest) {
  return !text.empty() && text.size() <= longest && first(text[0]) &&
         std::all_of(text.begin() + 1, text.end(), rest);
}

bool IsExponent(std::string_view text) {  // 1e3, 1.5e-3
  const size_t e = text.find_first_of("eE");
  if (e == std::string_view::npos || e == 0) return false;
  std::string_view mantissa = text.substr(0, e);
  std::string_view exponent = text.substr(e + 1);
  if (!exponent.empty() && (exponent[0] == '+' || exponent[0] == '-')) exponent.remove_prefix(1);
  const bool dotted = std::count(mantissa.begin(), mantissa.end(), '.') <= 1;
  return dotted && IsDigit(mantissa[0]) && AllDigits(exponent) &&
         std::all_of(mantissa.begin(), mantissa.end(),
                     [](char c) { return IsDigit(c) || c == '.'; });
}

bool IsSexagesimal(std::string_view text) {  // 1:30 is 90 to a YAML 1.1 reader
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || !AllDigits(text.substr(0, colon))) return false;
  std::string_view rest = text.substr(colon);
  while (!rest.empty()) {
    if (rest[0] != ':') return false;
    const std::string_view part = rest.substr(1, rest.find(':', 1) - 1);
    if (!AllDigits(part) || part.size() > 2 || Number(part) > 59) return false;
    rest.remove_prefix(1 + part.size());
  }
  return true;
}

}  // namespace

std::optional<uint64_t> ParseInteger(std::string_view text) {
  if (!AllDigits(text) || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseSigned(std::string_view text) {
  const bool negative = text.starts_with('-');
  const auto magnitude = ParseInteger(negative ? text.substr(1) : text);
  constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!magnitude || *magnitude > kLargest || (negative && *magnitude == 0)) return std::nullopt;
  const auto value = static_cast<int64_t>(*magnitude);
  return negative ? -value : value;
}

std::optional<uint64_t> ParseSize(std::string_view text) { return ParseUnit(text, kSizes); }

std::optional<uint64_t> ParseTime(std::string_view text) { return ParseUnit(text, kTimes); }

std::optional<uint32_t> ParsePercent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  const auto value = ParseInteger(text.substr(0, text.size() - 1));
  if (!value || *value > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return static_cast<uint32_t>(*value);
}

std::optional<std::pair<uint32_t, uint32_t>> ParseRate(std::string_view text) {
  constexpr std::pair<std::string_view, uint32_t> kWindows[] = {
      {"/s", 1000}, {"/min", 60'000}, {"/h", 3'600'000}};
  for (const auto& [suffix, window] : kWindows) {
    if (!text.ends_with(suffix)) continue;
    const auto count = ParseInteger(text.substr(0, text.size() - suffix.size()));
    if (!count || *count > std::numeric_limits<uint32_t>::max()) return std::nullopt;
    return std::pair(static_cast<uint32_t>(*count), window);
  }
  return std::nullopt;
}

std::optional<uint32_t> ParseUmask(std::string_view text) {
  if (text.size() != 4 || text[0] != '0') return std::nullopt;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<uint32_t>(c - '0');
  }
  return value;
}

std::optional<uint32_t> ParseSignal(std::string_view text) {
  for (const Signal& signal : kSignals) {
    if (signal.name == text) return signal.number;
  }
  return std::nullopt;
}

std::optional<std::pair<uint32_t, uint32_t>> ParseKernel(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto major = ParseInteger(text.substr(0, dot));
  const auto minor = ParseInteger(text.substr(dot + 1));
  if (!major || !minor || *major > 999 || *minor > 999) return std::nullopt;
  return std::pair(static_cast<uint32_t>(*major), static_cast<uint32_t>(*minor));
}

bool IsName(std::string_view text) {
  return IsWord(text, 32, IsLower, [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
}

bool IsVariableName(std::string_view text) { return IsName(text); }

bool IsEnvName(std::string_view text) {
  const auto first = [](char c) { return IsLower(c) || IsUpper(c) || c == '_'; };
  return IsWord(text, 128, first, [&](char c) { return first(c) || IsDigit(c); });
}

bool IsCallName(std::string_view text) {
  const auto first = [](char c) { return IsLower(c) || c == '_'; };
  return IsWord(text, 64, first, [&](char c) { return first(c) || IsDigit(c); });
}

bool IsConstantName(std::string_view text) {
  const auto first = [](char c) { return IsUpper(c) || c == '_'; };
  return IsWord(text, 64, first, [&](char c) { return first(c) || IsDigit(c); });
}

bool IsDate(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const std::string_view year = text.substr(0, 4);
  const std::string_view month = text.substr(5, 2);
  const std::string_view day = text.substr(8, 2);
  if (!AllDigits(year) || !AllDigits(month) || !AllDigits(day)) return false;
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1) return false;
  return Number(day) <= DaysOf(Number(year), Number(month));
}

std::optional<uint32_t> ParseIpv4(std::string_view text) {
  uint32_t address = 0;
  for (int part = 0; part < 4; ++part) {
    const size_t dot = text.find('.');
    const auto value = ParseInteger(text.substr(0, dot));
    if (!value || *value > 255 || (dot == std::string_view::npos) != (part == 3)) {
      return std::nullopt;
    }
    address = address << 8 | static_cast<uint32_t>(*value);
    if (part < 3) text.remove_prefix(dot + 1);
  }
  return address;
}

bool IsIpv4(std::string_view text) { return ParseIpv4(text).has_value(); }

std::optional<VsockAddress> ParseVsockAddress(std::string_view text) {
  constexpr uint64_t kAny = 0xffffffff;  // any CID, any port
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view context = text.substr(0, colon);
  const auto cid = context == "parent" ? kVsockParent : ParseInteger(context);
  const auto port = ParseInteger(text.substr(colon + 1));
  if (!cid || !port || *cid >= kAny || *port >= kAny || *port == 0) return std::nullopt;
  return VsockAddress{static_cast<uint32_t>(*cid), static_cast<uint32_t>(*port)};
}

bool ReadsAsBoolean(std::string_view text) {
  constexpr std::string_view kWords[] = {"y", "n", "yes", "no", "true", "false", "on", "off"};
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c; });
  return std::find(std::begin(kWords), std::end(kWords), lower) != std::end(kWords);
}

bool ReadsAsOddNumber(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text.empty() || !IsDigit(text[0])) return false;
  if (AllDigits(text)) return text.size() > 1 && text[0] == '0';
  const auto hex_digit = [](char c) {
    return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '_';
  };
  const std::string_view rest = text.substr(text.size() > 2 ? 2 : text.size());
  if ((text.starts_with("0x") || text.starts_with("0X") || text.starts_with("0o") ||
       text.starts_with("0b")) &&
      !rest.empty() && std::all_of(rest.begin(), rest.end(), hex_digit)) {
    return true;
  }
  const bool grouped = text.find('_') != std::string_view::npos &&
                       std::all_of(text.begin(), text.end(),
                                   [](char c) { return IsDigit(c) || c == '_' || c == '.'; });
  return grouped || IsExponent(text) || IsSexagesimal(text);
}

}  // namespace bulkhead
