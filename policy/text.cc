// SPDX-License-Identifier: Apache-2.0
#include "policy/text.h"

#include <algorithm>
#include <vector>

namespace bulkhead {
namespace {

constexpr size_t kQuotedCharacters = 64;
constexpr size_t kLongestCompared = 64;  // bounds the quadratic comparison

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

void AppendByte(std::string& out, char byte) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  out += "\\x";
  out += kHexDigits[value >> 4];
  out += kHexDigits[value & 15];
}

// Takes one character from the front of `text` and writes it, escaped where it must be.
void AppendEscaped(std::string& out, std::string_view& text) {
  const CodePoint point = DecodeFront(text);
  const size_t length = std::max<size_t>(point.length, 1);
  const bool shown = point.length != 0 && point.value != '\n' && !IsControl(point.value) &&
                     !IsInvisible(point.value);
  for (const char byte : text.substr(0, length)) {
    if (shown) {
      out += byte;
    } else {
      AppendByte(out, byte);
    }
  }
  text.remove_prefix(length);
}

}  // namespace

CodePoint DecodeFront(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const uint32_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (text.size() < length) return {};
  uint32_t value = lead & (0x7FU >> length);
  for (uint32_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3FU);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10FFFF) return {};
  if (value >= 0xD800 && value <= 0xDFFF) return {};
  return {value, length};
}

bool IsInvisible(uint32_t c) {
  // Default_Ignorable_Code_Point of Unicode 15, and what is blank.
  constexpr struct {
    uint32_t first, last;
  } kRanges[] = {{0xAD, 0xAD},       {0x34F, 0x34F},    {0x61C, 0x61C},   {0x115F, 0x1160},
                 {0x17B4, 0x17B5},   {0x180B, 0x180F},  {0x200B, 0x200F}, {0x2028, 0x202E},
                 {0x2060, 0x206F},   {0x2800, 0x2800},  {0x3164, 0x3164}, {0xFE00, 0xFE0F},
                 {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},  {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3},
                 {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};
  const auto holds = [c](const auto& range) { return range.first <= c && c <= range.last; };
  return std::ranges::any_of(kRanges, holds) || (c & 0xFFFE) == 0xFFFE;
}

bool IsControl(uint32_t c) { return (c < 0x20 && c != '\n') || (c >= 0x7F && c <= 0x9F); }

std::string Escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) AppendEscaped(out, text);
  return out;
}

std::string Quoted(std::string_view text) {
  std::string out = "`";
  for (size_t i = 0; i < kQuotedCharacters && !text.empty(); ++i) AppendEscaped(out, text);
  if (!text.empty()) out += "…";
  return out + "`";
}

std::optional<std::string_view> Nearest(std::string_view word,
                                        std::span<const std::string_view> candidates) {
  if (word.size() > kLongestCompared) return std::nullopt;
  std::optional<std::string_view> best;
  size_t least = word.size() / 3 + 1;
  for (const std::string_view candidate : candidates) {
    if (std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size()) > least) {
      continue;  // more edits than that, without counting them
    }
    const size_t distance = EditDistance(word, candidate);
    if (distance > least || distance >= candidate.size()) continue;
    if (best && distance == least) continue;
    best = candidate;
    least = distance;
  }
  return best;
}

}  // namespace bulkhead
