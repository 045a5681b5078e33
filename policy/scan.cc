// SPDX-License-Identifier: Apache-2.0
#include "policy/scan.h"

#include <fmt/format.h>

#include "policy/text.h"

namespace bulkhead {
namespace {

struct Finding {
  std::string_view code;  // empty: nothing wrong
  std::string message;
  std::string help;
};

Finding Judge(CodePoint point, uint8_t first_byte) {
  if (point.length == 0) {
    return {"E0101", fmt::format("byte 0x{:02x} is not UTF-8", first_byte),
            "policies are UTF-8 without a byte order mark"};
  }
  if (point.value == '\t') {
    return {"E0103", "a tab", "indent and separate with spaces"};
  }
  if (point.value == '\r') {
    return {"E0104", "a carriage return", "end lines with a line feed alone"};
  }
  if (IsControl(point.value)) {
    return {"E0104", fmt::format("control character U+{:04X}", point.value),
            "policies are printable text"};
  }
  if (IsInvisible(point.value)) {
    return {"E0105", fmt::format("invisible character U+{:04X}", point.value),
            "what is read must be what is shown: remove it"};
  }
  return {};
}

bool HasMark(std::string_view text) {
  return text.starts_with("\xEF\xBB\xBF") || text.starts_with("\xFF\xFE") ||
         text.starts_with("\xFE\xFF");
}

}  // namespace

bool ScanText(std::string_view text, uint32_t file, Diagnostics& diagnostics) {
  if (HasMark(text)) {
    diagnostics.Error({file, 1, 1, 1}, "E0102", "a byte order mark",
                      "save the file as UTF-8 without a byte order mark");
    return false;
  }
  bool good = true;
  Place place{file, 1, 1, 1};
  bool line_reported = false;
  while (!text.empty()) {
    const CodePoint point = DecodeFront(text);
    const Finding finding = Judge(point, static_cast<uint8_t>(text[0]));
    if (!finding.code.empty()) {
      good = false;
      place.length = std::max(point.length, 1U);
      if (!line_reported) diagnostics.Error(place, finding.code, finding.message, finding.help);
      line_reported = true;
    }
    const uint32_t length = std::max(point.length, 1U);
    place.column += length;
    if (point.value == '\n') {
      ++place.line;
      place.column = 1;
      line_reported = false;
    }
    text.remove_prefix(length);
  }
  return good;
}

}  // namespace bulkhead
