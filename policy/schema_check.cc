// SPDX-License-Identifier: Apache-2.0
#include "policy/schema_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "policy/scalars.h"
#include "policy/schema.h"
#include "policy/text.h"
#include "policy/value_check.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxItems = 1024;

class Checker {
 public:
  explicit Checker(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  void CheckMap(Node& node, std::string_view shape) {
    if (node.entries.empty()) {
      diagnostics_.Error(node.place, "E0213", "an empty map", "leave the key out");
      return;
    }
    if (node.entries.size() > kMaxItems) {
      diagnostics_.Error(node.entries[kMaxItems].key_place, "E0226",
                         fmt::format("more than {} keys", kMaxItems));
      node.entries.resize(kMaxItems);
    }
    ReportMissing(node, shape);
    for (Entry& entry : node.entries) {
      if (!CheckEntry(entry, shape)) entry.value = Refused(entry.value);
    }
  }

 private:
  // Two items may only look alike because of what was taken out of them.
  static bool HoldsRefused(const Node& node) {
    return node.kind == NodeKind::kBad ||
           std::any_of(node.items.begin(), node.items.end(), HoldsRefused) ||
           std::any_of(node.entries.begin(), node.entries.end(),
                       [](const Entry& entry) { return HoldsRefused(entry.value); });
  }

  static Node Refused(const Node& node) {
    Node refused;
    refused.place = node.place;
    return refused;
  }

  // What `use` takes, where an enclave's policy is expected.
  static bool IsLibrary(const Node& node) {
    const bool holds = node.Find("profiles") != nullptr || node.Find("groups") != nullptr;
    return holds && std::ranges::all_of(node.entries, [](const Entry& entry) {
             return FindRow("library", entry.key) != nullptr;
           });
  }

  void ReportMissing(const Node& node, std::string_view shape) {
    if (shape == "policy" && IsLibrary(node)) {
      diagnostics_.Error(node.place, "E0248", "a file of profiles or groups is no policy",
                         "name it in `use` of a policy, which is checked with all that it uses");
      return;
    }
    for (const Row* row : RowsOf(shape)) {
      if (!row->required || node.Find(row->key) != nullptr) continue;
      diagnostics_.Error(node.place, "E0202", fmt::format("`{}` is missing", row->key),
                         Expectation(*row));
    }
  }

  static std::string Expectation(const Row& row) {
    if (row.type == Type::kChoice) return "expected " + ListChoices(row);
    const std::string_view one = row.map.empty() || row.type != Type::kNone
                                     ? Info(row.type).expected
                                     : std::string_view("a map");
    return fmt::format("expected {}{}", row.form == Form::kList ? "a list; an item is " : "", one);
  }

  bool CheckEntry(Entry& entry, std::string_view shape) {
    const Row* row = FindRow(shape, entry.key);
    if (row == nullptr) {
      ReportUnknown(entry, shape);
      return false;
    }
    if (row->key == "*" && !CheckKey(entry, *row)) return false;
    return CheckValue(entry.value, *row, entry.key);
  }

  bool CheckKey(const Entry& entry, const Row& row) {
    Node key;
    key.kind = NodeKind::kScalar;
    key.style = entry.key_style;
    key.text = entry.key;
    key.place = entry.key_place;
    Row as_value;
    as_value.type = row.names;
    return CheckScalar(key, as_value, diagnostics_);
  }

  void ReportUnknown(const Entry& entry, std::string_view shape) {
    if (shape == "profile" && FindRow("component", entry.key) != nullptr) {
      diagnostics_.Error(entry.key_place, "E0229",
                         Quoted(entry.key) + " is a key of components, not of profiles",
                         "write it in the components that use the profile");
      return;
    }
    std::vector<std::string_view> keys;
    for (const Row* row : RowsOf(shape)) {
      if (row->key != "*") keys.push_back(row->key);
    }
    std::string help;
    if (const auto meant = Nearest(entry.key, keys)) {
      help = fmt::format("did you mean `{}`?", *meant);
    } else {
      help = fmt::format("keys here: {}", fmt::join(keys, ", "));
    }
    diagnostics_.Error(entry.key_place, "E0201", Quoted(entry.key) + " is no key here", help);
  }

  bool CheckValue(Node& node, const Row& row, const std::string& key) {
    if (node.kind == NodeKind::kBad) return false;
    if (row.form == Form::kList) return CheckList(node, row, key);
    if (row.form == Form::kOneOrList && node.kind == NodeKind::kList) {
      Row values = row;
      values.map = {};
      return CheckItems(node, values);
    }
    return CheckOne(node, row, Quoted(key));
  }

  bool CheckList(Node& node, const Row& row, const std::string& key) {
    if (node.kind != NodeKind::kList) {
      diagnostics_.Error(node.place, "E0203", Quoted(key) + " is not a list",
                         node.kind == NodeKind::kScalar && node.text.size() <= 40 &&
                                 node.text.find(' ') == std::string::npos
                             ? fmt::format("write `[{}]`", Escaped(node.text))
                             : "write its items with `- ` or in brackets");
      return false;
    }
    return CheckItems(node, row);
  }

  bool CheckItems(Node& node, const Row& row) {
    if (node.items.empty()) {
      diagnostics_.Error(node.place, "E0213", "an empty list", "leave the key out");
      return false;
    }
    if (node.items.size() > kMaxItems) {
      diagnostics_.Error(node.items[kMaxItems].place, "E0226",
                         fmt::format("more than {} items", kMaxItems));
      return false;
    }
    std::vector<Node> kept;
    for (size_t i = 0; i < node.items.size(); ++i) {
      Node& item = node.items[i];
      if (item.kind == NodeKind::kBad) continue;
      if (CheckOne(item, row, "an item")) kept.push_back(std::move(item));
    }
    node.items = std::move(kept);
    // The order of an argument vector carries meaning, and so do its repetitions.
    if (!row.whole) RefuseDuplicates(node, row);
    return !node.items.empty();
  }

  void RefuseDuplicates(const Node& list, const Row& row) {
    std::map<std::string, const Node*> seen;
    for (const Node& item : list.items) {
      std::string name = ItemName(item, row.map);
      if (name.empty() || HoldsRefused(item)) continue;
      const auto [first, added] = seen.emplace(std::move(name), &item);
      if (added) continue;
      diagnostics_.Error(item.place, "E0225", Quoted(first->first) + " is in the list twice",
                         fmt::format("the first one is on line {}", first->second->place.line));
    }
  }

  bool CheckOne(Node& node, const Row& row, const std::string& what) {
    if (node.kind == NodeKind::kMap && !row.map.empty()) {
      CheckMap(node, row.map);
      return true;
    }
    if (node.kind == NodeKind::kScalar && row.type != Type::kNone) {
      return CheckScalar(node, row, diagnostics_);
    }
    const char* found = node.kind == NodeKind::kMap    ? "a map"
                        : node.kind == NodeKind::kList ? "a list"
                                                       : "a single value";
    diagnostics_.Error(node.place, "E0203", fmt::format("{} can't be {}", what, found),
                       row.type == Type::kChoice
                           ? "expected " + ListChoices(row)
                           : fmt::format("expected {}", Info(row.type).expected));
    return false;
  }

  Diagnostics& diagnostics_;
};

}  // namespace

void CheckShape(Node& node, std::string_view shape, Diagnostics& diagnostics) {
  Checker(diagnostics).CheckMap(node, shape);
}

std::string ItemName(const Node& item, std::string_view map_shape) {
  const std::vector<std::string_view> keys = IdentityKeys(map_shape);
  if (item.kind != NodeKind::kMap || keys.empty()) return Flow(item);
  std::string name;
  for (const std::string_view key : keys) {
    const Entry* entry = item.Find(key);
    if (entry != nullptr) name += (name.empty() ? "" : ":") + Flow(entry->value);
  }
  return name;
}

}  // namespace bulkhead
