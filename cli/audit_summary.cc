// SPDX-License-Identifier: Apache-2.0
// `bulkhead audit summary`: what a log counts, by kind of event, by what was refused, by who tried
// it and over time.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <optional>
#include <tuple>

#include "cli/audit_call.h"
#include "cli/audit_chain_report.h"
#include "cli/audit_records.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"

namespace bulkhead {
namespace {

using GroupKey = std::array<std::string, 5>;    // component, kind, control, action, verdict
using RefusedKey = std::array<std::string, 4>;  // component, action, object, rule
using TalkerKey = std::tuple<std::string, std::string, int64_t>;  // component, program, pid

constexpr std::array<const char*, 5> kGroupKeys{"component", "kind", "control", "action",
                                                "verdict"};
constexpr std::array<const char*, 4> kRefusedKeys{"component", "action", "object", "rule"};

struct Talker {
  uint64_t count = 0;
  int64_t first = 0;
  int64_t last = 0;
};

struct Counts {
  std::map<GroupKey, uint64_t> groups;
  std::map<RefusedKey, uint64_t> refused;
  std::map<TalkerKey, Talker> talkers;
  std::map<int64_t, uint64_t> refused_at;  // by second, as the host's clock claims
  uint64_t unreadable = 0;                 // lines that are no event
};

void CountRecord(const AuditRecord& record, std::optional<Arch> arch, Counts& counts) {
  counts.groups[{record.component, record.kind, record.control, record.action, record.verdict}] +=
      record.count;
  if (!record.IsRefusal()) return;
  // By what a call asks for: addresses differ from one to the next and say nothing.
  counts.refused[{record.component, record.action, ObjectText(record, arch), record.rule}] +=
      record.count;
  counts.refused_at[record.claimed] += record.count;
  Talker& talker = counts.talkers[{record.component, record.exe, record.pid}];
  if (talker.count == 0) talker.first = record.claimed;
  talker.count += record.count;
  talker.last = record.claimed;
}

Counts CountFiles(const CheckedLog& log, const RecordFilter& filter, std::optional<Arch> arch) {
  Counts counts;
  counts.unreadable = ReadRecords(log.files, log.stream, [&](const AuditRecord& record) {
    if (filter.Takes(record)) CountRecord(record, arch, counts);
  });
  return counts;
}

uint64_t CountOf(uint64_t count) { return count; }
uint64_t CountOf(const Talker& talker) { return talker.count; }

// The largest first, at most `most`; equal ones in the order of their keys.
template <typename Map>
std::vector<const typename Map::value_type*> Largest(const Map& map, size_t most) {
  std::vector<const typename Map::value_type*> items;
  items.reserve(map.size());
  for (const auto& item : map) items.push_back(&item);
  std::stable_sort(items.begin(), items.end(), [](const auto* one, const auto* other) {
    return CountOf(one->second) > CountOf(other->second);
  });
  if (items.size() > most) items.resize(most);
  return items;
}

struct Timeline {
  int64_t start = 0;
  int64_t step = 1;  // seconds
  std::vector<uint64_t> refused;
};

// As few steps as fit: of a round length, at most kMostSteps.
std::optional<Timeline> TimelineOf(const Counts& counts) {
  if (counts.refused_at.empty()) return std::nullopt;
  constexpr int64_t kSteps[] = {1, 10, 60, 600, 3600, 21600, 86400, 604800, 2592000, 31536000};
  constexpr int64_t kMostSteps = 24;
  const int64_t first = counts.refused_at.begin()->first;
  const int64_t last = counts.refused_at.rbegin()->first;
  Timeline timeline;
  // A clock that the host owns can claim anything: what does not fit goes into the last step.
  for (const int64_t step : kSteps) {
    timeline.step = step;
    timeline.start = first - first % step;
    if ((last - timeline.start) / step < kMostSteps) break;
  }
  const int64_t steps = std::min((last - timeline.start) / timeline.step + 1, kMostSteps);
  timeline.refused.resize(static_cast<size_t>(steps));
  for (const auto& [second, count] : counts.refused_at) {
    const int64_t at = std::min((second - timeline.start) / timeline.step, steps - 1);
    timeline.refused[static_cast<size_t>(at)] += count;
  }
  return timeline;
}

template <typename Keys, typename Values>
Json Named(const Keys& keys, const Values& values) {
  Json json = Json::object();
  for (size_t i = 0; i < keys.size(); ++i) json[keys[i]] = values[i];
  return json;
}

Json CountsJson(const Counts& counts, size_t most) {
  Json groups = Json::array();
  for (const auto& [key, count] : counts.groups) {
    groups.push_back(Named(kGroupKeys, key));
    groups.back()["count"] = count;
  }
  Json refused = Json::array();
  for (const auto* item : Largest(counts.refused, most)) {
    refused.push_back(Named(kRefusedKeys, item->first));
    refused.back()["count"] = item->second;
  }
  Json talkers = Json::array();
  for (const auto* item : Largest(counts.talkers, most)) {
    const auto& [component, exe, pid] = item->first;
    talkers.push_back({{"component", component},
                       {"exe", exe},
                       {"pid", pid},
                       {"count", item->second.count},
                       {"first", item->second.first},
                       {"last", item->second.last}});
  }
  Json timeline = nullptr;
  if (const auto line = TimelineOf(counts)) {
    timeline = {{"start", line->start}, {"step", line->step}, {"refused", line->refused}};
  }
  return {{"unreadable_lines", counts.unreadable},
          {"events", groups},
          {"refused", refused},
          {"talkers", talkers},
          {"timeline", timeline}};
}

std::string Cell(const std::string& value) { return value.empty() ? "-" : Shown(value); }

std::string GroupsText(const Counts& counts) {
  std::vector<std::vector<std::string>> rows{
      {"COMPONENT", "KIND", "CONTROL", "ACTION", "VERDICT", "COUNT"}};
  for (const auto& [key, count] : counts.groups) {
    rows.emplace_back();
    for (const std::string& value : key) rows.back().push_back(Cell(value));
    rows.back().push_back(std::to_string(count));
  }
  return Table(rows);
}

std::string RefusedText(const Counts& counts, size_t most) {
  std::vector<std::vector<std::string>> rows{{"REFUSED", "COMPONENT", "ACTION", "OBJECT", "RULE"}};
  for (const auto* item : Largest(counts.refused, most)) {
    rows.push_back({std::to_string(item->second)});
    for (const std::string& value : item->first) rows.back().push_back(Cell(value));
  }
  return Table(rows);
}

std::string TalkersText(const Counts& counts, size_t most) {
  std::vector<std::vector<std::string>> rows{
      {"REFUSED", "COMPONENT", "PID", "PROGRAM", "FIRST (UTC, CLAIMED)", "LAST"}};
  for (const auto* item : Largest(counts.talkers, most)) {
    const auto& [component, exe, pid] = item->first;
    rows.push_back({std::to_string(item->second.count), Cell(component), std::to_string(pid),
                    Cell(exe), ClaimedText(item->second.first), ClaimedText(item->second.last)});
  }
  return Table(rows);
}

std::string TimelineText(const Timeline& line) {
  constexpr uint64_t kBar = 40;
  const uint64_t most = *std::max_element(line.refused.begin(), line.refused.end());
  std::vector<std::vector<std::string>> rows{
      {"FROM (UTC, CLAIMED)", "REFUSED", fmt::format("IN {} S", line.step)}};
  for (size_t i = 0; i < line.refused.size(); ++i) {
    const uint64_t count = line.refused[i];
    const double share = static_cast<double>(count) / static_cast<double>(most);
    const auto bar = static_cast<size_t>(share * static_cast<double>(kBar));
    rows.push_back({ClaimedText(line.start + static_cast<int64_t>(i) * line.step),
                    std::to_string(count),
                    std::string(count == 0 ? 0 : std::max<size_t>(bar, 1), '#')});
  }
  return Table(rows);
}

std::string CountsText(const Counts& counts, size_t most) {
  std::string text = GroupsText(counts);
  if (counts.refused.empty()) return text;
  text += "\n" + RefusedText(counts, most) + "\n" + TalkersText(counts, most);
  if (const auto line = TimelineOf(counts)) text += "\n" + TimelineText(*line);
  return text;
}

}  // namespace

int SummarizeLog(const Invocation& invocation) {
  const auto filter = FilterOf(invocation, static_cast<int64_t>(std::time(nullptr)));
  const auto most = invocation.Number(Parameter::kTop, 10, 1, UINT32_MAX);
  if (!filter || !most) {
    PrintError(filter ? "`--top` takes a number from 1" : filter.error());
    return kExitWrongUsage;
  }
  const auto log = CheckLog(invocation);
  if (!log) return log.error();
  const auto arch = ArchOfLog(invocation);
  if (!arch) return arch.error();
  const Counts counts = CountFiles(*log, *filter, *arch);
  bool printed = true;
  if (invocation.One(Parameter::kFormat) == "json") {
    Json json{{"chain", ChainJson(*log)}};
    json.update(CountsJson(counts, *most));
    printed = PrintOut(AsciiJson(json));
  } else {
    printed = PrintOut(CountsText(counts, *most));
    if (counts.groups.empty()) PrintNote("no record is of this kind");
    if (!log->chain) PrintError(BreakText(*log));
  }
  if (!printed) return kExitCannot;
  return log->chain ? kExitDone : kExitNo;
}

}  // namespace bulkhead
