// SPDX-License-Identifier: Apache-2.0
#include "engine/seccomp_record.h"

#include <algorithm>
#include <charconv>

namespace bulkhead {
namespace {

struct Field {
  std::string_view key;
  uint32_t SeccompKill::*member;
  int base;
};

constexpr Field kFields[] = {{"uid", &SeccompKill::uid, 10},
                             {"sig", &SeccompKill::signal, 10},
                             {"arch", &SeccompKill::arch, 16},
                             {"syscall", &SeccompKill::nr, 10}};

template <typename Number>
bool Read(std::string_view digits, Number& value, int base) {
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  return error == std::errc() && stop == end;
}

}  // namespace

std::optional<SeccompKill> ParseSeccompRecord(std::string_view text) {
  SeccompKill kill;
  size_t found = 0;
  // Names the process chose are quoted or hexadecimal in the record, never with a space inside.
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    if (key == "pid") {
      if (!Read(value, kill.pid, 10)) return std::nullopt;
      ++found;
    }
    for (const Field& field : kFields) {
      if (field.key != key) continue;
      if (!Read(value, kill.*field.member, field.base)) return std::nullopt;
      ++found;
    }
  }
  if (found != std::size(kFields) + 1) return std::nullopt;
  return kill;
}

}  // namespace bulkhead
