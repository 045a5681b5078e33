// SPDX-License-Identifier: Apache-2.0
#include "policy/merge.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "policy/schema.h"
#include "policy/schema_check.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

void SetLayer(Node& node, uint32_t layer) {
  node.layer = layer;
  for (Node& item : node.items) SetLayer(item, layer);
  for (Entry& entry : node.entries) SetLayer(entry.value, layer);
}

const Node* ValueOf(const Node* map, std::string_view key) {
  const Entry* entry = map == nullptr ? nullptr : map->Find(key);
  return entry == nullptr ? nullptr : &entry->value;
}

class Merger {
 public:
  Merger(const Node& own, Diagnostics& diagnostics) : own_(own), diagnostics_(diagnostics) {}

  void AddProfile(const Node& reference, Node profile) {
    references_.push_back(&reference);
    SetLayer(profile, static_cast<uint32_t>(references_.size()));
    MergeMap(result_, std::move(profile), {"component", &own_, ""});
  }

  void RemoveExcepted(const Node& list) {
    for (const Node& item : list.items) {
      if (Remove(item.text)) continue;
      diagnostics_.Error(item.place, "E0303", Quoted(item.text) + " is in none of the profiles",
                         "name a key like `limits.memory`, or an item like `files.read:/etc`");
    }
  }

  Node Finish() {
    final_ = true;
    Node own = own_;
    SetLayer(own, 0);
    result_.place = own.place;
    MergeMap(result_, std::move(own), {"component", nullptr, ""});
    return std::move(result_);
  }

 private:
  struct Where {
    std::string_view shape;
    const Node* own;  // what the component itself says there; nullptr: nothing
    std::string path;
  };

  void MergeMap(Node& into, Node from, const Where& where) {
    into.kind = NodeKind::kMap;
    for (Entry& entry : from.entries) {
      Entry* existing = into.Find(entry.key);
      if (existing == nullptr) {
        into.entries.push_back(std::move(entry));
        continue;
      }
      const Row* row = FindRow(where.shape, entry.key);
      if (row == nullptr) continue;  // the schema has refused it
      const std::string path = where.path.empty() ? entry.key : where.path + "." + entry.key;
      if (final_) existing->key_place = entry.key_place;
      MergeValue(existing->value, std::move(entry.value), *row,
                 {row->map, ValueOf(where.own, entry.key), path});
    }
  }

  void MergeValue(Node& into, Node from, const Row& row, const Where& where) {
    if (into.kind == NodeKind::kBad || from.kind == NodeKind::kBad) {
      into = Node();
    } else if (!row.whole && into.kind == NodeKind::kList && from.kind == NodeKind::kList) {
      MergeList(into, std::move(from), row, where);
    } else if (!row.whole && into.kind == NodeKind::kMap && from.kind == NodeKind::kMap) {
      MergeMap(into, std::move(from), where);
    } else if (final_) {
      into = std::move(from);
    } else if (where.own == nullptr && Flow(into) != Flow(from)) {
      ReportConflict(into, from, where.path);
    }
  }

  void MergeList(Node& into, Node from, const Row& row, const Where& where) {
    for (Node& item : from.items) {
      Node* existing = FindItem(into, ItemName(item, row.map), row.map);
      if (existing == nullptr) {
        into.items.push_back(std::move(item));
      } else {
        MergeItem(*existing, std::move(item), row, where);
      }
    }
  }

  // The same item from two sides: `/tmp` and `{path: /tmp, size: 1M}` are one directory.
  void MergeItem(Node& into, Node from, const Row& row, const Where& where) {
    const std::vector<std::string_view> keys = IdentityKeys(row.map);
    if (into.kind == NodeKind::kScalar && from.kind == NodeKind::kScalar) {
      if (final_) into = std::move(from);
      return;
    }
    if (keys.empty()) return;  // equal by their text
    AsMap(into, keys.back());
    AsMap(from, keys.back());
    if (final_) into.place = from.place;
    const std::string name = ItemName(from, row.map);
    const Node* own = nullptr;
    if (where.own != nullptr) {
      for (const Node& item : where.own->items) {
        if (ItemName(item, row.map) == name) own = &item;
      }
    }
    MergeMap(into, std::move(from), {row.map, own, where.path + ":" + name});
  }

  static void AsMap(Node& node, std::string_view key) {
    if (node.kind != NodeKind::kScalar) return;
    Node map;
    map.kind = NodeKind::kMap;
    map.place = node.place;
    map.layer = node.layer;
    map.entries.push_back({std::string(key), node.place, ScalarStyle::kPlain, std::move(node)});
    node = std::move(map);
  }

  static Node* FindItem(Node& list, const std::string& name, std::string_view map_shape) {
    for (Node& item : list.items) {
      if (ItemName(item, map_shape) == name) return &item;
    }
    return nullptr;
  }

  void ReportConflict(const Node& first, const Node& second, const std::string& path) {
    const Node& reference = *references_[second.layer - 1];
    const Node& earlier = *references_[first.layer - 1];
    diagnostics_.Error(
        reference.place, "E0302",
        fmt::format("profiles {} and {} disagree on `{}`: {} and {}", Quoted(earlier.text),
                    Quoted(reference.text), path, Quoted(Flow(first)), Quoted(Flow(second))),
        fmt::format("set `{}` in the component, or use only one of them", path));
  }

  // False when nothing has that name.
  bool Remove(const std::string& name) {
    const size_t colon = name.find(':');
    const std::string path = name.substr(0, colon);
    Node* map = &result_;
    std::string_view shape = "component";
    size_t start = 0;
    for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', start)) {
      const Row* row = FindRow(shape, path.substr(start, dot - start));
      Entry* entry = map->Find(path.substr(start, dot - start));
      if (entry == nullptr || row == nullptr) return false;
      map = &entry->value;
      shape = row->map;
      start = dot + 1;
    }
    const std::string last = path.substr(start);
    Entry* entry = map->Find(last);
    const Row* row = FindRow(shape, last);
    if (entry == nullptr || row == nullptr) return false;
    if (colon != std::string::npos) {
      if (!RemoveItem(entry->value, name.substr(colon + 1), row->map)) return false;
      if (!entry->value.items.empty()) return true;
    }
    std::erase_if(map->entries, [&](const Entry& e) { return e.key == last; });
    return true;
  }

  static bool RemoveItem(Node& list, const std::string& name, std::string_view map_shape) {
    return std::erase_if(list.items,
                         [&](const Node& item) { return ItemName(item, map_shape) == name; }) != 0;
  }

  const Node& own_;
  Diagnostics& diagnostics_;
  Node result_;
  std::vector<const Node*> references_;  // of layer n at n - 1
  bool final_ = false;                   // the component itself is merged: it has the last word
};

void ReportUnknownProfile(const Node& reference, const Library& library, Diagnostics& diagnostics) {
  std::vector<std::string_view> names;
  for (const auto& [name, entry] : library.profiles) names.push_back(name);
  const auto meant = Nearest(reference.text, names);
  diagnostics.Error(reference.place, "E0301", Quoted(reference.text) + " is not a profile",
                    meant ? fmt::format("did you mean `{}`?", *meant)
                          : fmt::format("profiles here: {}", fmt::join(names, ", ")));
}

}  // namespace

Node MergeComponent(const Entry& component, const Library& library, Diagnostics& diagnostics) {
  Merger merger(component.value, diagnostics);
  if (const Entry* profiles = component.value.Find("profile")) {
    for (const Node& reference : profiles->value.items) {
      const auto found = library.profiles.find(reference.text);
      if (found == library.profiles.end()) {
        ReportUnknownProfile(reference, library, diagnostics);
      } else {
        merger.AddProfile(reference, found->second.value);
      }
    }
  }
  if (const Entry* except = component.value.Find("except")) {
    merger.RemoveExcepted(except->value);
  }
  return merger.Finish();
}

}  // namespace bulkhead
