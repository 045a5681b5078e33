// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>

#include "policy/build.h"
#include "policy/scalars.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr std::string_view kDefaultSize = "64M";

struct VerbRow {
  Verb verb;
  std::string_view key;
  int rank;  // a verb includes those of lower rank; 0: see Stronger
};
constexpr VerbRow kVerbs[] = {
    {Verb::kExecute, "execute", 0}, {Verb::kRead, "read", 1},   {Verb::kWrite, "write", 2},
    {Verb::kCreate, "create", 3},   {Verb::kState, "state", 4}, {Verb::kRuntime, "runtime", 4},
    {Verb::kPrivate, "private", 4},
};

const VerbRow& RowOf(Verb verb) { return kVerbs[static_cast<size_t>(verb)]; }

struct Found {
  FileRule rule;
  uint32_t layer = 0;
};

// Whether `a` gives everything that `b` gives. What is executable and what is writable never
// include each other, nor do two kinds of directories of its own.
bool Includes(Verb a, Verb b) {
  if (a == b) return true;
  if (a == Verb::kExecute) return b == Verb::kRead;
  if (b == Verb::kExecute) return false;
  return RowOf(a).rank > RowOf(b).rank;
}

Found Read(const Section& files, const VerbRow& row, const Node& item) {
  const Section fields(&item, "");
  Found found;
  found.layer = item.layer;
  found.rule.verb = row.verb;
  found.rule.path = item.kind == NodeKind::kScalar ? item.text : fields.TextOf("path");
  found.rule.optional = fields.TextOf("optional") == "true";
  if (row.verb == Verb::kRuntime || row.verb == Verb::kPrivate) {
    found.rule.size = ParseSize(fields.TextOf("size", kDefaultSize)).value_or(0);
  }
  found.rule.at = files.ItemAt(row.key, item, found.rule.path);
  return found;
}

void ReportTwoVerbs(const Found& first, const Found& second, Diagnostics& diagnostics) {
  diagnostics.Error(
      second.rule.at.place, "E0404",
      fmt::format("{} stands under `{}` and `{}`", Quoted(second.rule.path),
                  RowOf(first.rule.verb).key, RowOf(second.rule.verb).key),
      fmt::format("one path, one verb: the other one is on line {}", first.rule.at.place.line));
}

// Keeps the stronger of two rules for one path, or reports them.
void Resolve(Found& kept, Found next, Diagnostics& diagnostics) {
  // Twice in one list by hand was reported when the list was checked.
  if (kept.rule.verb == next.rule.verb) return;
  const bool by_hand = kept.layer == 0 && next.layer == 0;
  if (!by_hand && Includes(kept.rule.verb, next.rule.verb)) return;
  if (!by_hand && Includes(next.rule.verb, kept.rule.verb)) {
    kept = std::move(next);
    return;
  }
  ReportTwoVerbs(kept, next, diagnostics);
}

}  // namespace

std::vector<FileRule> BuildFiles(const Section& files, Diagnostics& diagnostics) {
  std::map<std::string, Found> by_path;
  for (const VerbRow& row : kVerbs) {
    for (const Node& item : files.Items(row.key)) {
      Found found = Read(files, row, item);
      const std::string path = found.rule.path;
      const auto place = by_path.find(path);
      if (place == by_path.end()) {
        by_path.emplace(path, std::move(found));
      } else {
        Resolve(place->second, std::move(found), diagnostics);
      }
    }
  }
  std::vector<FileRule> rules;
  rules.reserve(by_path.size());
  for (auto& [path, found] : by_path) rules.push_back(std::move(found.rule));
  return rules;
}

}  // namespace bulkhead
