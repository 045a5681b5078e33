// SPDX-License-Identifier: Apache-2.0
#include "engine/control_protocol.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "engine/event.h"

namespace bulkhead {
namespace {

using Parsed = tl::expected<ControlRequest, std::string>;

constexpr std::string_view kVerbs[] = {"status", "stop", "restart", "logs", "measure"};

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    const size_t end = line.find(' ');
    words.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return words;
    line.remove_prefix(end + 1);
  }
}

bool IsComponent(std::string_view name) {
  if (name.empty() || name.size() > 32 || name[0] < 'a' || name[0] > 'z') return false;
  return std::ranges::all_of(
      name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::optional<ControlVerb> VerbOf(std::string_view word) {
  const auto* found = std::ranges::find(kVerbs, word);
  if (found == std::end(kVerbs)) return std::nullopt;
  return static_cast<ControlVerb>(found - std::begin(kVerbs));
}

// Without a component.
bool IsBare(ControlVerb verb) {
  return verb == ControlVerb::kStatus || verb == ControlVerb::kMeasure;
}

bool ReadLogs(const std::vector<std::string_view>& words, ControlRequest& request) {
  const auto read =
      std::from_chars(words[4].data(), words[4].data() + words[4].size(), request.lines);
  const bool whole = read.ec == std::errc() && read.ptr == words[4].data() + words[4].size();
  request.follow = words[5] == "follow";
  return whole && request.lines <= kMaxControlLines && (request.follow || words[5] == "once");
}

}  // namespace

tl::expected<ControlRequest, std::string> ParseControlRequest(std::string_view line) {
  const std::vector<std::string_view> words = Words(line);
  if (words.size() < 3 || words[0] != "bulkhead") return tl::make_unexpected("no request");
  if (words[1] != "1") return tl::make_unexpected("this supervisor speaks version 1");
  const auto verb = VerbOf(words[2]);
  if (!verb) return tl::make_unexpected("an unknown verb");
  ControlRequest request{*verb, {}, 0, false};
  constexpr size_t kSizes[] = {3, 4, 4, 6, 3};
  if (words.size() != kSizes[static_cast<size_t>(*verb)]) {
    return tl::make_unexpected("not the words of this verb");
  }
  if (IsBare(*verb)) return request;
  const bool all = words[3] == "-" && *verb != ControlVerb::kRestart;
  if (!all && !IsComponent(words[3])) return tl::make_unexpected("not a component's name");
  if (!all) request.component = words[3];
  if (*verb == ControlVerb::kLogs && !ReadLogs(words, request)) {
    return tl::make_unexpected("not the words of this verb");
  }
  return request;
}

std::string ControlRequestText(const ControlRequest& request) {
  std::string text = "bulkhead 1 ";
  text.append(kVerbs[static_cast<size_t>(request.verb)]);
  if (IsBare(request.verb)) return text;
  text.append(" ").append(request.component.empty() ? "-" : request.component);
  if (request.verb == ControlVerb::kLogs) {
    text.append(" ").append(std::to_string(request.lines));
    text.append(request.follow ? " follow" : " once");
  }
  return text;
}

void ControlLine::Key(std::string_view key) {
  if (line_.size() > 1) line_ += ',';
  line_.append("\"").append(key).append("\":");
}

ControlLine& ControlLine::Text(std::string_view key, std::string_view value) {
  // As in the audit log: what a terminal acts on is written as \xNN.
  return Escaped(key, EscapeText(value).text);
}

ControlLine& ControlLine::Escaped(std::string_view key, std::string_view text) {
  Key(key);
  line_ += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') line_ += '\\';
    line_ += c;
  }
  line_ += '"';
  return *this;
}

ControlLine& ControlLine::Number(std::string_view key, uint64_t value) {
  Key(key);
  line_ += std::to_string(value);
  return *this;
}

ControlLine& ControlLine::Flag(std::string_view key, bool value) {
  Key(key);
  line_ += value ? "true" : "false";
  return *this;
}

ControlLine& ControlLine::Null(std::string_view key) {
  Key(key);
  line_ += "null";
  return *this;
}

std::string ControlLine::Finish() { return line_ + "}\n"; }

std::string ControlOk() { return ControlLine().Number("bulkhead", 1).Flag("ok", true).Finish(); }

std::string ControlError(std::string_view what) {
  return ControlLine().Number("bulkhead", 1).Flag("ok", false).Text("error", what).Finish();
}

}  // namespace bulkhead
