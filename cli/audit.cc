// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/json.h"
#include "engine/audit_chain.h"

namespace bulkhead {
namespace {

constexpr std::array<std::string_view, 5> kGroupKeys{"component", "kind", "control", "action",
                                                     "verdict"};
using GroupKey = std::array<std::string, kGroupKeys.size()>;

struct Counts {
  std::map<GroupKey, uint64_t> groups;
  uint64_t unreadable = 0;  // lines that are no event
};

bool WantsJson(const Invocation& invocation) {
  return invocation.One(Parameter::kFormat) == "json";
}

Json SegmentJson(const ChainSegment& segment) {
  return {{"bundle", "sha384:" + segment.bundle},
          {"boot", segment.boot},
          {"first_line", segment.first_line},
          {"records", segment.records},
          {"lost", segment.lost},
          {"closed", segment.closed}};
}

Json SummaryJson(const ChainSummary& summary) {
  Json segments = Json::array();
  for (const ChainSegment& segment : summary.segments) segments.push_back(SegmentJson(segment));
  return {{"whole", true},
          {"records", summary.records},
          {"torn_lines", summary.torn_lines},
          {"last_sequence", summary.last.sequence},
          {"head", "sha384:" + Hex(summary.last.head)},
          {"runs", segments}};
}

Json BreakJson(const ChainBreak& broken) {
  return {{"whole", false},
          {"line", broken.line},
          {"expected_sequence", broken.sequence},
          {"what", broken.what}};
}

std::string BreakText(const std::string& path, const ChainBreak& broken) {
  return fmt::format("{}:{}: the chain is broken: {}", path, broken.line, broken.what);
}

std::string SummaryText(const ChainSummary& summary) {
  std::string out = fmt::format("the chain is whole: {} records in {} run{}, head sha384:{}\n",
                                summary.records, summary.segments.size(),
                                summary.segments.size() == 1 ? "" : "s", Hex(summary.last.head));
  if (summary.torn_lines != 0) {
    out += fmt::format("unfinished lines where a run ended: {}\n", summary.torn_lines);
  }
  std::vector<std::vector<std::string>> rows{
      {"LINE", "RECORDS", "LOST", "ENDED", "BOOT", "BUNDLE"}};
  for (const ChainSegment& run : summary.segments) {
    rows.push_back({std::to_string(run.first_line), std::to_string(run.records),
                    std::to_string(run.lost), run.closed ? "closed" : "open", Shown(run.boot),
                    Shown(run.bundle.substr(0, 16))});
  }
  return out + Table(rows);
}

void CountLine(const std::string& line, Counts& counts) {
  const Json event = Json::parse(line, nullptr, false);
  if (!event.is_object()) {
    ++counts.unreadable;
    return;
  }
  GroupKey key;
  for (size_t i = 0; i < key.size(); ++i) {
    const auto found = event.find(kGroupKeys[i]);
    if (found != event.end() && found->is_string()) key[i] = found->get<std::string>();
  }
  const auto count = event.find("count");
  const bool counted = count != event.end() && count->is_number_unsigned();
  counts.groups[key] += counted ? count->get<uint64_t>() : 1;
}

Counts CountFile(const std::string& path) {
  Counts counts;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) CountLine(line, counts);
  return counts;
}

Json CountsJson(const Counts& counts) {
  Json groups = Json::array();
  for (const auto& [key, count] : counts.groups) {
    Json group = Json::object();
    for (size_t i = 0; i < key.size(); ++i) group[std::string(kGroupKeys[i])] = key[i];
    group["count"] = count;
    groups.push_back(std::move(group));
  }
  return {{"unreadable_lines", counts.unreadable}, {"events", groups}};
}

std::string CountsText(const Counts& counts) {
  std::vector<std::vector<std::string>> rows{
      {"COMPONENT", "KIND", "CONTROL", "ACTION", "VERDICT", "COUNT"}};
  for (const auto& [key, count] : counts.groups) {
    std::vector<std::string> row;
    for (const std::string& value : key) row.push_back(value.empty() ? "-" : Shown(value));
    row.push_back(std::to_string(count));
    rows.push_back(std::move(row));
  }
  return Table(rows);
}

// The chain of the log, or exit code 3 when the file can't be read.
tl::expected<tl::expected<ChainSummary, ChainBreak>, int> ReadChain(const std::string& path) {
  auto chain = VerifyChain(path);
  if (chain || chain.error().line != 0) return chain;
  PrintError(fmt::format("`{}`: {}", path, chain.error().what));
  return tl::make_unexpected(kExitCannot);
}

}  // namespace

int VerifyLog(const Invocation& invocation) {
  const std::string path = invocation.One(Parameter::kLog);
  const auto chain = ReadChain(path);
  if (!chain) return chain.error();
  bool printed = true;
  if (WantsJson(invocation)) {
    printed = PrintOut(JsonText(*chain ? SummaryJson(**chain) : BreakJson(chain->error())));
  } else if (*chain) {
    printed = PrintOut(SummaryText(**chain));
  } else {
    PrintError(BreakText(path, chain->error()));
  }
  if (!printed) return kExitCannot;
  return *chain ? kExitDone : kExitNo;
}

int SummarizeLog(const Invocation& invocation) {
  const std::string path = invocation.One(Parameter::kLog);
  const auto chain = ReadChain(path);
  if (!chain) return chain.error();
  const Counts counts = CountFile(path);
  bool printed = true;
  if (WantsJson(invocation)) {
    Json json{{"chain", *chain ? SummaryJson(**chain) : BreakJson(chain->error())}};
    json.update(CountsJson(counts));
    printed = PrintOut(JsonText(json));
  } else {
    printed = PrintOut(CountsText(counts));
    if (!*chain) PrintError(BreakText(path, chain->error()));
  }
  if (!printed) return kExitCannot;
  return *chain ? kExitDone : kExitNo;
}

}  // namespace bulkhead
