// SPDX-License-Identifier: Apache-2.0
#include "engine/event_log.h"

#include <algorithm>
#include <utility>

#include "profiles/attestation.h"

namespace bulkhead {
namespace {

constexpr uint32_t kEventType = 0x08000001;  // dstack's runtime events
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool IsEventName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxEventName && std::ranges::all_of(name, [](char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
}

// Takes `part` from the beginning of `text`.
bool Eat(std::string_view& text, std::string_view part) {
  if (!text.starts_with(part)) return false;
  text.remove_prefix(part.size());
  return true;
}

// A string up to its closing quote, without escapes.
std::optional<std::string_view> EatString(std::string_view& text) {
  if (!Eat(text, "\"")) return std::nullopt;
  const size_t end = text.find_first_of("\"\\");
  if (end == std::string_view::npos || text[end] != '"') return std::nullopt;
  const std::string_view value = text.substr(0, end);
  text.remove_prefix(end + 1);
  return value;
}

std::optional<MeasuredEvent> ReadLine(std::string_view line) {
  MeasuredEvent event;
  event.version = 1;
  if (!Eat(line, "{\"event\":")) return std::nullopt;
  const auto name = EatString(line);
  if (!name || !IsEventName(*name) || !Eat(line, ",\"payload\":")) return std::nullopt;
  const auto coded = EatString(line);
  auto payload = coded ? FromBase64(*coded) : std::nullopt;
  if (!payload) return std::nullopt;
  if (Eat(line, ",\"version\":")) {
    if (!line.starts_with('1') && !line.starts_with('2')) return std::nullopt;
    event.version = static_cast<uint32_t>(line[0] - '0');
    line.remove_prefix(1);
  }
  if (line != "}") return std::nullopt;
  event.name = *name;
  event.payload = std::move(*payload);
  return event;
}

}  // namespace

std::string Base64(std::span<const uint8_t> bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < left ? bytes[i + j] : 0U);
    for (size_t j = 0; j < 4; ++j) {
      text += j <= left ? kAlphabet[(group >> (18 - 6 * j)) & 63] : '=';
    }
  }
  return text;
}

std::optional<std::vector<uint8_t>> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const size_t padding = !last ? 0 : text[i + 2] == '=' ? 2 : text[i + 3] == '=' ? 1 : 0;
    uint32_t group = 0;
    for (size_t j = 0; j < 4 - padding; ++j) {
      const size_t digit = kAlphabet.find(text[i + j]);
      if (digit == std::string_view::npos) return std::nullopt;
      group |= static_cast<uint32_t>(digit) << (18 - 6 * j);
    }
    if (padding == 2 && text[i + 3] != '=') return std::nullopt;
    for (size_t j = 0; j < 3 - padding; ++j) {
      bytes.push_back(static_cast<uint8_t>(group >> (16 - 8 * j)));
    }
  }
  if (Base64(bytes) != text) return std::nullopt;
  return bytes;
}

Digest EventDigest(const MeasuredEvent& event) {
  std::string text;
  if (event.version == 1) {
    for (int shift = 0; shift < 32; shift += 8) text += static_cast<char>(kEventType >> shift);
    text.append(":")
        .append(event.name)
        .append(":")
        .append(event.payload.begin(), event.payload.end());
  } else {
    text.append("{\"event\":\"").append(event.name).append("\",\"event_type\":");
    text.append(std::to_string(kEventType)).append(",\"payload\":\"").append(Hex(event.payload));
    text.append("\",\"version\":2}");
  }
  return Sha384(text);
}

std::string EventLine(const MeasuredEvent& event) {
  std::string line =
      "{\"event\":\"" + event.name + "\",\"payload\":\"" + Base64(event.payload) + "\"";
  if (event.version != 1) line += ",\"version\":" + std::to_string(event.version);
  return line + "}\n";
}

tl::expected<std::vector<MeasuredEvent>, std::string> ReadEventLog(std::string_view text) {
  if (text.size() > kMaxEventLog) return tl::make_unexpected("longer than 1 MiB");
  std::vector<MeasuredEvent> events;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    auto event = end == std::string_view::npos ? std::nullopt : ReadLine(text.substr(0, end));
    if (!event) return tl::make_unexpected("line " + std::to_string(number) + " is no event");
    events.push_back(std::move(*event));
    text.remove_prefix(end + 1);
  }
  return events;
}

Digest Replay(std::span<const MeasuredEvent> events, Digest start) {
  for (const MeasuredEvent& event : events) start = Extended(start, EventDigest(event));
  return start;
}

// Others can take our names: what is not as a supervisor writes it is an event of others.
LogJudgement JudgeEvents(std::span<const MeasuredEvent> events) {
  constexpr size_t kAuditKey = 32;
  LogJudgement judgement;
  std::string_view last;  // our event before this one
  for (const MeasuredEvent& event : events) {
    const auto is = [&](std::string_view name, size_t size) {
      return event.name == name && event.version == 2 && event.payload.size() == size;
    };
    const bool begun = judgement.boundary;
    const auto same_bundle = [&] {
      return !judgement.bundles.empty() && std::ranges::equal(event.payload, judgement.bundles[0]);
    };
    if (event.name == kEventBundle) {
      Digest digest{};
      if (is(kEventBundle, digest.size())) std::ranges::copy(event.payload, digest.begin());
      judgement.bundles.push_back(digest);
      last = kEventBundle;
      continue;
    }
    const std::string_view before = std::exchange(last, {});
    if (event.name == kEventBoundary && event.version == 2 && before == kEventBundle &&
        judgement.bundles.size() == 1) {
      judgement.boundary = true;
      judgement.enclave.assign(event.payload.begin(), event.payload.end());
      last = kEventBoundary;
    } else if (begun && is(kEventRestarted, sizeof(Digest)) && same_bundle()) {
      ++judgement.restarts;
      last = kEventRestarted;
    } else if (begun && is(kEventAuditKey, kAuditKey) && !before.empty()) {
      judgement.audit_keys.push_back(event.payload);
    } else if (!(begun && is(kEventAuditHead, sizeof(Digest))) &&
               !(&event == events.data() && is(kEventFound, sizeof(Digest)))) {
      ++(begun ? judgement.foreign_after : judgement.foreign);
    }
  }
  return judgement;
}

}  // namespace bulkhead
