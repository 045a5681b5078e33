// SPDX-License-Identifier: Apache-2.0
#include "policy/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr size_t kShownBytes = 100;   // of a source line, around the mistake
constexpr size_t kLeadingBytes = 70;  // of these, at most so many before it

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "error";
}

std::string_view SeverityColour(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "\x1b[1;31m";
    case Severity::kWarning:
      return "\x1b[1;35m";
    case Severity::kNote:
      return "\x1b[1;36m";
  }
  return "";
}

std::string_view LineOf(std::string_view text, uint32_t line) {
  size_t start = 0;
  for (uint32_t i = 1; i < line; ++i) {
    const size_t end = text.find('\n', start);
    if (end == std::string_view::npos) return {};
    start = end + 1;
  }
  return text.substr(start, text.find('\n', start) - start);
}

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

size_t AlignDown(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

// The part of a long line that holds the mistake, as text before, under and after the mark.
struct Excerpt {
  std::string before;
  std::string marked;
  std::string after;
};

Excerpt ExcerptOf(std::string_view line, const Place& place) {
  const size_t at = std::min<size_t>(place.column - 1, line.size());
  const size_t start = at > kLeadingBytes ? AlignDown(line, at - kLeadingBytes) : 0;
  const size_t stop = AlignDown(line, std::min(line.size(), start + kShownBytes));
  const size_t end = std::clamp<size_t>(at + place.length, at, std::max(at, stop));
  Excerpt excerpt;
  excerpt.before = (start > 0 ? "…" : "") + Escaped(line.substr(start, at - start));
  excerpt.marked = Escaped(line.substr(at, end - at));
  if (stop > end) excerpt.after = Escaped(line.substr(end, stop - end));
  if (stop < line.size()) excerpt.after += "…";
  return excerpt;
}

std::string RenderExcerpt(const Diagnostic& diagnostic, std::string_view line, bool color) {
  const Excerpt excerpt = ExcerptOf(line, diagnostic.place);
  const size_t width = std::max<size_t>(DisplayWidth(excerpt.marked), 1);
  return fmt::format("    {}{}{}\n    {}{}^{}{}\n", excerpt.before, excerpt.marked, excerpt.after,
                     std::string(DisplayWidth(excerpt.before), ' '), color ? "\x1b[1;32m" : "",
                     std::string(width - 1, '~'), color ? "\x1b[0m" : "");
}

}  // namespace

Diagnostic& Diagnostics::Error(Place place, std::string_view code, std::string message,
                               std::string help) {
  ++errors_;
  items_.push_back(
      {Severity::kError, place, std::string(code), std::move(message), std::move(help), {}, {}});
  return items_.back();
}

void Diagnostics::Warning(Place place, std::string_view code, std::string message,
                          std::string help) {
  items_.push_back(
      {Severity::kWarning, place, std::string(code), std::move(message), std::move(help), {}, {}});
}

void Diagnostics::Note(Place place, std::string_view code, std::string message, std::string help) {
  items_.push_back(
      {Severity::kNote, place, std::string(code), std::move(message), std::move(help), {}, {}});
}

void Diagnostics::Append(const Diagnostics& others) {
  items_.insert(items_.end(), others.items_.begin(), others.items_.end());
  errors_ += others.errors_;
}

std::vector<Diagnostic> Diagnostics::Sorted() const {
  std::vector<Diagnostic> sorted = items_;
  const auto key = [](const Diagnostic& d) {
    return std::tie(d.place, d.severity, d.code, d.message, d.help);
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const auto& a, const auto& b) { return key(a) < key(b); });
  sorted.erase(std::unique(sorted.begin(), sorted.end(),
                           [&](const auto& a, const auto& b) { return key(a) == key(b); }),
               sorted.end());
  if (sorted.size() <= kMaxDiagnostics) return sorted;
  const size_t cut = sorted.size() - (kMaxDiagnostics - 1);
  sorted.resize(kMaxDiagnostics - 1);
  sorted.push_back({Severity::kNote, sorted.back().place, "N0001",
                    fmt::format("{} more diagnostics are not shown", cut), "", "", ""});
  return sorted;
}

std::string RenderText(const Diagnostic& diagnostic, const Sources& sources, bool color) {
  const Place& place = diagnostic.place;
  const bool known = place.file < sources.size();
  std::string text =
      fmt::format("{}:{}:{}: {}{}:{} {} [{}]\n",
                  known ? Escaped(sources[place.file].name) : std::string("<unknown>"), place.line,
                  place.column, color ? SeverityColour(diagnostic.severity) : "",
                  SeverityName(diagnostic.severity), color ? "\x1b[0m" : "", diagnostic.message,
                  diagnostic.code);
  if (known) {
    const std::string_view line = LineOf(sources[place.file].text, place.line);
    if (!line.empty()) text += RenderExcerpt(diagnostic, line, color);
  }
  if (!diagnostic.help.empty()) text += "  help: " + diagnostic.help + "\n";
  return text;
}

std::string RenderJson(const std::vector<Diagnostic>& diagnostics, const Sources& sources) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Diagnostic& d : diagnostics) {
    nlohmann::ordered_json item;
    item["file"] = d.place.file < sources.size() ? sources[d.place.file].name : "";
    item["line"] = d.place.line;
    item["column"] = d.place.column;
    item["length"] = d.place.length;
    item["severity"] = SeverityName(d.severity);
    item["code"] = d.code;
    item["message"] = d.message;
    item["help"] = d.help;
    list.push_back(std::move(item));
  }
  nlohmann::ordered_json root;
  root["diagnostics"] = std::move(list);
  return root.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace bulkhead
