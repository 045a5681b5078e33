// SPDX-License-Identifier: Apache-2.0
#include "cli/places.h"

#include <fmt/format.h>

#include <deque>
#include <set>
#include <utility>

#include "compiler/resolve_calls.h"
#include "policy/build.h"
#include "policy/diagnostics.h"
#include "policy/section.h"
#include "policy/yaml_events.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// What an entry names: "read", "@io"; arguments stand behind the name.
std::string_view NameIn(std::string_view entry) {
  const size_t end =
      entry.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@");
  return entry.substr(0, end);
}

// Whether an entry is of these arguments, which it has in the notation of policy/node.h's Flow:
// YAML without its spaces, of names and numbers.
bool SpeaksOf(std::string_view entry, const SeccompData& call, Arch arch) {
  std::string text;
  for (const char letter : entry.substr(NameIn(entry).size())) {
    text += letter;
    if (letter == ':' || letter == ',') text += ' ';
  }
  if (text.empty()) return true;
  Diagnostics ignored;
  const auto list = ReadYaml(fmt::format("allow: [{{{}: {}}}]\n", NameIn(entry), text), 0, ignored);
  if (!list) return false;
  const auto written = BuildCalls(Section(&*list, ""), "allow", ignored);
  const auto rules = MergeRules(ResolveCalls(Policy(), written, {}, arch, ignored));
  return !ignored.HasErrors() && ReferenceAction({.arch = arch, .rules = rules}, call) == kRetAllow;
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
                              std::string_view list, const SeccompData& call, Arch arch) {
  const std::string_view wanted = SyscallName(arch, call.nr);
  const std::string own = fmt::format("components.{}.syscalls.{}", component, list);
  std::deque<std::pair<std::string, std::vector<Line>>> open;
  for (const std::string& on : {std::string(), fmt::format(".on.{}", ArchName(arch))}) {
    open.emplace_back(own + on + ":", std::vector<Line>{});
  }
  std::set<std::string> seen;
  while (!open.empty()) {
    const std::pair<std::string, std::vector<Line>> next = open.front();
    open.pop_front();
    const auto& [prefix, lines] = next;
    if (!seen.insert(prefix).second) continue;
    for (auto it = places.lower_bound(prefix); it != places.end() && it->first.starts_with(prefix);
         ++it) {
      const std::string_view entry = std::string_view(it->first).substr(prefix.size());
      const std::string_view name = NameIn(entry);
      std::vector<Line> longer = lines;
      longer.push_back({it->first, it->second});
      if (name == wanted && SpeaksOf(entry, call, arch)) return longer;
      if (!name.starts_with("@")) continue;
      open.emplace_back("groups." + std::string(name.substr(1)) + ":", std::move(longer));
    }
  }
  return {};
}

}  // namespace bulkhead
