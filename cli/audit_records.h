// SPDX-License-Identifier: Apache-2.0
// Records of an audit log, as `bulkhead audit` reads them, and which of them somebody wants to see.
// What a log says is text from attackers: whatever is printed of it passes through Shown. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "cli/command_line.h"
#include "cli/json.h"

namespace bulkhead {

struct AuditRecord {
  Json json;  // the whole line
  uint64_t sequence = 0;
  uint64_t count = 1;
  int64_t claimed = 0;  // seconds since 1970, by the host's clock
  std::string time;     // of the boot clock, as it stands there
  std::string boot, component, exe, kind, control, action, object, verdict, error, rule;
  int64_t pid = 0;

  bool IsRefusal() const { return kind == "violation" || kind == "absent"; }
  bool IsBrokered() const { return kind == "brokered"; }  // allowed, and made
};

// Whether a statement is this one or stands beneath it: "components.tools" is above
// "components.tools.files".
bool IsBeneath(std::string_view rule, std::string_view above);

// Nothing for a line that is no record.
std::optional<AuditRecord> ParseRecord(std::string_view line);

// "2026-11-30 20:15:03": UTC, by the host's clock.
std::string ClaimedText(int64_t seconds);

// JSON in ASCII alone: what drives or misleads a terminal leaves as an escape, whatever the log
// holds. `indent` -1: in one line.
std::string AsciiJson(const Json& json, int indent = 2);

// Its further values, in their order, but for what is for programs alone.
using NamedValues = std::vector<std::pair<std::string, std::string>>;
NamedValues ExtrasOf(const AuditRecord& record);

// One of them, also of those; empty without it.
std::string ExtraOf(const AuditRecord& record, std::string_view name);

// The record in one line for people; `tried` is what stands for its action and object.
std::string RecordText(const AuditRecord& record, const std::string& tried);

struct RecordFilter {
  std::string component, kind, control, action;  // empty: any
  std::string rule;                              // this statement and those beneath it
  int64_t since = INT64_MIN;                     // claimed

  bool Takes(const AuditRecord& record) const;
};

// Seconds since 1970 of a time as people write it: `10m` before `now`, or a day or second in UTC.
// The error shows how.
tl::expected<int64_t, std::string> ParseWhen(const std::string& text, int64_t now);

// By --component, --kind, --control, --action, --rule and --since; an error for people.
tl::expected<RecordFilter, std::string> FilterOf(const Invocation& invocation, int64_t now);

// Calls `take` for each whole record of the files, in their order; one that a stream sent again is
// given once. A line is a record for it where it is one for ChainVerifier, of a `stream` as well
// where it only ends in one (WholeRecordIn). How many other lines there are.
uint64_t ReadRecords(const std::vector<std::string>& paths, bool stream,
                     const std::function<void(const AuditRecord&)>& take);

// Whole lines out of pieces. Of a line that is longer than any record stands `…`.
class LineSplitter {
 public:
  // Calls `take(line)` for each line that ends in `bytes`.
  template <typename Take>
  void Feed(std::string_view bytes, Take take) {
    for (const char c : bytes) {
      if (c != '\n') {
        Add(c);
        continue;
      }
      take(std::string_view(too_long_ ? "…" : line_));
      Clear();
    }
  }
  void Clear() {
    line_.clear();
    too_long_ = false;
  }

 private:
  void Add(char c);
  std::string line_;
  bool too_long_ = false;
};

}  // namespace bulkhead
