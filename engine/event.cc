// SPDX-License-Identifier: Apache-2.0
#include "engine/event.h"

#include <string.h>

namespace bulkhead {
namespace {

constexpr std::string_view kEllipsis = "\xE2\x80\xA6";
constexpr std::string_view kHexDigits = "0123456789abcdef";

// Length and code point of the well-formed UTF-8 sequence at the front, length 0 if there is none
// (overlong forms, surrogates and values past U+10FFFF are none; RFC 3629).
struct Sequence {
  size_t length = 0;
  uint32_t code = 0;
};

Sequence FrontSequence(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {1, first};
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return {};
  uint32_t code = first & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3FU);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {length, code};
}

// What a terminal or an editor acts on or hides instead of showing: C0, DEL, C1, line and
// paragraph separators, and the invisible and direction characters that reorder a line.
bool IsShown(uint32_t code) {
  if (code < 0x20 || (code >= 0x7F && code <= 0x9F)) return false;
  if (code == 0xAD || code == 0x61C || code == 0xFEFF) return false;
  if (code >= 0x200B && code <= 0x200F) return false;
  if (code >= 0x2028 && code <= 0x202E) return false;
  if (code >= 0x2060 && code <= 0x206F) return false;
  if (code >= 0xFFF0 && code <= 0xFFFB) return false;
  if (code >= 0xE0000 && code <= 0xE0FFF) return false;
  return (code & 0xFFFE) != 0xFFFE;
}

std::string HexEscape(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    text += "\\x";
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

struct Piece {
  size_t taken = 0;
  std::string text;
};

Piece EscapeFront(std::string_view bytes) {
  if (bytes[0] == '\\') return {1, "\\\\"};
  const Sequence front = FrontSequence(bytes);
  if (front.length == 0) return {1, HexEscape(bytes.substr(0, 1))};
  const std::string_view sequence = bytes.substr(0, front.length);
  return {front.length, IsShown(front.code) ? std::string(sequence) : HexEscape(sequence)};
}

// Escaped text holds no control characters, so quotes and backslashes are all JSON asks for.
void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

// Writes keys in order and remembers which values were cut.
class LineWriter {
 public:
  void Number(std::string_view key, const std::string& digits) {
    Key(key);
    line_ += digits;
  }
  void Text(std::string_view key, std::string_view value) {
    Key(key);
    const EscapedText escaped = EscapeText(value);
    if (escaped.cut) NoteCut(key, value.size());
    AppendJsonString(line_, escaped.text);
  }
  void Open(std::string_view key) {
    Key(key);
    line_ += '{';
  }
  void Close() { line_ += '}'; }
  void NoteCut(std::string_view key, size_t size) {
    cuts_ += cuts_.empty() ? "" : ",";
    AppendJsonString(cuts_, EscapeText(key).text);
    cuts_ += ':' + std::to_string(size);
  }
  std::string Finish() {
    if (!cuts_.empty()) line_ += ",\"cut\":{" + cuts_ + '}';
    return std::move(line_);
  }

 private:
  void Key(std::string_view key) {
    if (line_.back() != '{') line_ += ',';
    AppendJsonString(line_, EscapeText(key).text);
    line_ += ':';
  }
  std::string line_ = "{";
  std::string cuts_;
};

void WriteExtras(LineWriter& writer, const std::vector<EventField>& extra) {
  if (extra.empty()) return;
  writer.Open("extra");
  for (size_t i = 0; i < extra.size() && i < kMaxEventExtras; ++i) {
    writer.Text(extra[i].name, extra[i].value);
  }
  writer.Close();
  if (extra.size() > kMaxEventExtras) writer.NoteCut("extra", extra.size());
}

}  // namespace

std::string_view EventKindName(EventKind kind) {
  switch (kind) {
    case EventKind::kViolation:
      return "violation";
    case EventKind::kAbsent:
      return "absent";
    case EventKind::kObserved:
      return "observed";
    case EventKind::kBrokered:
      return "brokered";
    case EventKind::kWitness:
      return "witness";
    case EventKind::kLifecycle:
      return "lifecycle";
    case EventKind::kMeasure:
      return "measure";
    case EventKind::kLedger:
      return "ledger";
    case EventKind::kLoss:
      return "loss";
    case EventKind::kCheckpoint:
      return "checkpoint";
  }
  return "";
}

std::string EncodeEvent(const Event& event) {
  LineWriter writer;
  writer.Number("seq", std::to_string(event.sequence));
  writer.Text("time", DecimalSeconds(event.boot_ns));
  writer.Text("claimed", DecimalSeconds(event.claimed_ns));
  writer.Text("boot", event.boot);
  writer.Text("component", event.component);
  writer.Number("pid", std::to_string(event.pid));
  writer.Text("exe", event.exe);
  writer.Text("kind", EventKindName(event.kind));
  writer.Text("control", event.control);
  writer.Text("action", event.action);
  writer.Text("object", event.object);
  writer.Text("verdict", event.verdict);
  writer.Text("errno", event.error);
  writer.Text("rule", event.rule);
  writer.Number("count", std::to_string(event.count));
  WriteExtras(writer, event.extra);
  return writer.Finish();
}

EscapedText EscapeText(std::string_view bytes, size_t limit) {
  EscapedText out;
  size_t whole = 0;  // length of the text up to which an ellipsis still fits
  while (!bytes.empty()) {
    const Piece piece = EscapeFront(bytes);
    if (out.text.size() + piece.text.size() > limit) {
      out.text.resize(whole);
      out.text += kEllipsis;
      out.cut = true;
      return out;
    }
    out.text += piece.text;
    if (out.text.size() + kEllipsis.size() <= limit) whole = out.text.size();
    bytes.remove_prefix(piece.taken);
  }
  return out;
}

std::optional<std::string> UnescapeText(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (text.substr(i, 2) == "\\\\") {
      bytes += '\\';
      ++i;
      continue;
    }
    if (text.size() - i < 4 || text[i + 1] != 'x') return std::nullopt;
    const size_t high = kHexDigits.find(text[i + 2]);
    const size_t low = kHexDigits.find(text[i + 3]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
    i += 3;
  }
  if (EscapeText(bytes, SIZE_MAX).text != text) return std::nullopt;
  return bytes;
}

std::string DecimalSeconds(uint64_t nanoseconds) {
  std::string fraction = std::to_string(nanoseconds % 1000000000);
  fraction.insert(0, 9 - fraction.size(), '0');
  return std::to_string(nanoseconds / 1000000000) + "." + fraction;
}

std::string ErrnoName(int error) {
  if (error == 0) return "";
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

}  // namespace bulkhead
