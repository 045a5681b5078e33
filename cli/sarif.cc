// SPDX-License-Identifier: Apache-2.0
#include "cli/sarif.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <string_view>

#include "cli/cli.h"
#include "cli/json.h"

namespace bulkhead {
namespace {

// RFC 3986: what stands for itself in a path.
bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~/").find(c) != std::string_view::npos;
}

std::string Encoded(std::string_view path) {
  std::string text;
  for (const char c : path) {
    if (IsPlain(c)) {
      text += c;
    } else {
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

// Relative where the path is; a shipped file, "<library/groups.yaml>", is on no disk.
std::string UriOf(std::string_view name) {
  if (name.starts_with("<") && name.ends_with(">")) {
    return "bulkhead:" + Encoded(name.substr(1, name.size() - 2));
  }
  return (name.starts_with("/") ? "file://" : "") + Encoded(name);
}

std::string_view LevelOf(Severity severity) {
  constexpr std::string_view kNames[] = {"error", "warning", "note"};
  return kNames[static_cast<size_t>(severity)];
}

std::string_view LineOf(std::string_view text, uint32_t line) {
  for (uint32_t at = 1; at < line; ++at) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// Code points of UTF-8: all bytes but those that go on.
size_t CodePoints(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

Json RegionOf(const Place& place, std::string_view line) {
  const size_t before = std::min<size_t>(place.column - 1, line.size());
  const size_t start = CodePoints(line.substr(0, before)) + 1;
  const size_t length = CodePoints(line.substr(before, place.length));
  return {{"startLine", place.line},
          {"startColumn", start},
          {"endColumn", start + std::max<size_t>(length, 1)}};
}

Json ResultOf(const Diagnostic& diagnostic, const Sources& sources) {
  std::string text = diagnostic.message;
  if (!diagnostic.help.empty()) text += "\n" + diagnostic.help;
  Json result{{"ruleId", diagnostic.code},
              {"level", LevelOf(diagnostic.severity)},
              {"message", {{"text", text}}}};
  if (diagnostic.place.file < sources.size()) {
    const SourceFile& file = sources[diagnostic.place.file];
    result["locations"] = Json::array(
        {{{"physicalLocation",
           {{"artifactLocation", {{"uri", UriOf(file.name)}}},
            {"region", RegionOf(diagnostic.place, LineOf(file.text, diagnostic.place.line))}}}}});
  }
  if (!diagnostic.component.empty()) {
    result["properties"] = {{"component", diagnostic.component},
                            {"statement", diagnostic.statement}};
  }
  return result;
}

}  // namespace

std::string SarifText(const std::vector<Diagnostic>& diagnostics, const Sources& sources) {
  std::set<std::string> codes;
  Json results = Json::array();
  for (const Diagnostic& diagnostic : diagnostics) {
    codes.insert(diagnostic.code);
    results.push_back(ResultOf(diagnostic, sources));
  }
  Json rules = Json::array();
  for (const std::string& code : codes) rules.push_back({{"id", code}});
  const Json driver{{"name", "bulkhead"}, {"version", kVersion}, {"rules", rules}};
  return JsonText({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                   {"version", "2.1.0"},
                   {"runs", Json::array({{{"tool", {{"driver", driver}}},
                                          {"columnKind", "unicodeCodePoints"},
                                          {"results", results}}})}});
}

}  // namespace bulkhead
