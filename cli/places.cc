// SPDX-License-Identifier: Apache-2.0
#include "cli/places.h"

#include <deque>
#include <set>
#include <utility>

namespace bulkhead {
namespace {

// What an entry names: "read", "@io"; arguments stand behind the name.
std::string_view NameIn(std::string_view entry) {
  const size_t end =
      entry.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@");
  return entry.substr(0, end);
}

}  // namespace

std::string PlaceOf(const Places& places, std::string_view rule) {
  for (;;) {
    const auto found = places.find(rule);
    if (found != places.end()) return found->second;
    const size_t cut = rule.find_last_of(".:");
    if (cut == std::string_view::npos) return {};
    rule = rule.substr(0, cut);
  }
}

std::vector<Line> LinesOfCall(const Places& places, std::string_view component,
                              std::string_view list, std::string_view call) {
  std::string first = "components.";
  first.append(component).append(".syscalls.").append(list).append(":");
  std::deque<std::pair<std::string, std::vector<Line>>> open;
  open.emplace_back(std::move(first), std::vector<Line>{});
  std::set<std::string> seen;
  while (!open.empty()) {
    const std::pair<std::string, std::vector<Line>> next = open.front();
    open.pop_front();
    const auto& [prefix, lines] = next;
    if (!seen.insert(prefix).second) continue;
    for (auto it = places.lower_bound(prefix); it != places.end() && it->first.starts_with(prefix);
         ++it) {
      const std::string_view name = NameIn(std::string_view(it->first).substr(prefix.size()));
      std::vector<Line> longer = lines;
      longer.push_back({it->first, it->second});
      if (name == call) return longer;
      if (!name.starts_with("@")) continue;
      open.emplace_back("groups." + std::string(name.substr(1)) + ":", std::move(longer));
    }
  }
  return {};
}

}  // namespace bulkhead
