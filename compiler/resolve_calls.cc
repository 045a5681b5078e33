// SPDX-License-Identifier: Apache-2.0
#include "compiler/resolve_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "compiler/arg_tests.h"
#include "policy/text.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

std::string DidYouMean(std::string_view word, const std::vector<std::string_view>& candidates,
                       std::string_view otherwise) {
  const auto meant = Nearest(word, candidates);
  return meant ? fmt::format("did you mean `{}`?", *meant) : std::string(otherwise);
}

void Unify(std::vector<Conjunction>& conjunctions) {
  for (Conjunction& conjunction : conjunctions) {
    std::ranges::sort(conjunction);
    conjunction.erase(std::unique(conjunction.begin(), conjunction.end()), conjunction.end());
  }
  std::ranges::sort(conjunctions);
  conjunctions.erase(std::unique(conjunctions.begin(), conjunctions.end()), conjunctions.end());
  // The empty conjunction sorts first.
  if (!conjunctions.empty() && conjunctions.front().empty()) conjunctions.resize(1);
}

std::vector<CallRule> Join(std::vector<CallRule> rules) {
  std::map<uint32_t, CallRule> by_number;
  for (CallRule& rule : rules) {
    CallRule& joined = by_number[rule.nr];
    joined.nr = rule.nr;
    std::ranges::move(rule.allow, std::back_inserter(joined.allow));
    std::ranges::move(rule.deny, std::back_inserter(joined.deny));
  }
  std::vector<CallRule> result;
  for (auto& [nr, rule] : by_number) {
    Unify(rule.allow);
    Unify(rule.deny);
    result.push_back(std::move(rule));
  }
  return result;
}

bool AllowsNothing(const CallRule& rule) {
  return rule.allow.empty() || (!rule.deny.empty() && rule.deny.front().empty());
}

enum class Side : uint8_t { kAllow, kDeny };

class Resolver {
 public:
  Resolver(const Policy& policy, Arch arch, Diagnostics& diagnostics)
      : arch_(arch), diagnostics_(diagnostics) {
    for (const SyscallGroup& group : policy.groups) groups_.emplace(group.name, &group);
  }

  void Add(const std::vector<SyscallRule>& rules, Side side) {
    side_ = side;
    added_.clear();
    for (const SyscallRule& rule : rules) {
      if (rule.only_on && *rule.only_on != arch_) continue;
      if (rule.name.starts_with("@")) {
        AddGroup(rule);
      } else {
        AddCall(rule, nullptr);
      }
    }
  }

  std::vector<CallRule> Take() { return Join(std::move(rules_)); }

 private:
  struct Open {  // a group that is being read, and how far
    const SyscallGroup* group;
    size_t next;
  };

  const SyscallGroup* FindGroup(const SyscallRule& rule) {
    const std::string name = rule.name.substr(1);
    const auto found = groups_.find(name);
    if (found != groups_.end()) return found->second;
    std::vector<std::string_view> names;
    for (const auto& [known, group] : groups_) names.push_back(known);
    diagnostics_.Error(rule.at.place, "E0502",
                       fmt::format("{} is not a group of system calls", Quoted(rule.name)),
                       DidYouMean(name, names, "groups are those shipped and those of `groups:`"));
    return nullptr;
  }

  void AddGroup(const SyscallRule& rule) {
    std::vector<Open> open;
    Enter(rule, open);
    while (!open.empty()) {
      Open& top = open.back();
      if (top.next == top.group->calls.size()) {
        open.pop_back();
        continue;
      }
      const SyscallRule& entry = top.group->calls[top.next++];
      if (entry.only_on && *entry.only_on != arch_) continue;
      if (entry.name.starts_with("@")) {
        Enter(entry, open);
      } else {
        AddCall(entry, top.group);
      }
    }
  }

  void Enter(const SyscallRule& rule, std::vector<Open>& open) {
    if (!rule.args.empty()) {
      diagnostics_.Error(rule.at.place, "E0514",
                         fmt::format("arguments of {} can't be tested", Quoted(rule.name)),
                         "it is a group: name the call, and its arguments, by itself");
      return;
    }
    const SyscallGroup* group = FindGroup(rule);
    if (group == nullptr) return;
    const auto outer = std::ranges::find(open, group, &Open::group);
    if (outer != open.end()) {
      std::string way;
      for (auto it = outer; it != open.end(); ++it) way += "@" + it->group->name + " -> ";
      diagnostics_.Error(rule.at.place, "E0503",
                         fmt::format("{} contains itself", Quoted(rule.name)),
                         fmt::format("{}@{}", way, group->name));
      return;
    }
    // A second time it would add the same rules again.
    if (added_.insert(group).second) open.push_back({group, 0});
  }

  void AddCall(const SyscallRule& rule, const SyscallGroup* from) {
    if (!IsSyscallName(rule.name)) {
      std::vector<std::string_view> names;
      for (const SyscallRow& row : AllSyscalls()) names.push_back(row.name);
      diagnostics_.Error(
          rule.at.place, "E0501", fmt::format("{} is not a system call", Quoted(rule.name)),
          DidYouMean(rule.name, names,
                     fmt::format("known are those of Linux up to {}", kNewestKernel)));
      return;
    }
    const auto nr = SyscallNumber(arch_, rule.name);
    if (!nr) return Missing(rule, from);
    if (side_ == Side::kDeny && PassesByFilters(arch_, *nr)) {
      diagnostics_.Error(rule.at.place, "E0515",
                         fmt::format("{} can't be denied", Quoted(rule.name)),
                         "the kernel asks no filter about it, and runs it only in trampolines of "
                         "its own: leave it out");
      return;
    }
    auto conjunctions = ConvertTests(arch_, rule.name, rule.args, rule.at.place, diagnostics_);
    if (!conjunctions) return;
    // The tests of a group say how much of a call it gives: denied, the whole call is meant, and
    // not the part that the group thinks harmless.
    if (side_ == Side::kDeny && from != nullptr) conjunctions = std::vector<Conjunction>{{}};
    CallRule call;
    call.nr = *nr;
    (side_ == Side::kAllow ? call.allow : call.deny) = std::move(*conjunctions);
    rules_.push_back(std::move(call));
  }

  void Missing(const SyscallRule& rule, const SyscallGroup* from) {
    if (from != nullptr) {
      diagnostics_.Note(rule.at.place, "N0501",
                        fmt::format("{} has no {}: left out of `@{}`", ArchName(arch_),
                                    Quoted(rule.name), from->name));
      return;
    }
    diagnostics_.Error(rule.at.place, "E0504",
                       fmt::format("{} has no {}", ArchName(arch_), Quoted(rule.name)),
                       "put it under `on`, with the architecture that has it, or use a group");
  }

  Arch arch_;
  Diagnostics& diagnostics_;
  std::map<std::string, const SyscallGroup*> groups_;
  Side side_ = Side::kAllow;
  std::set<const SyscallGroup*> added_;  // on this side
  std::vector<CallRule> rules_;
};

}  // namespace

std::vector<CallRule> ResolveCalls(const Policy& policy, const std::vector<SyscallRule>& allow,
                                   const std::vector<SyscallRule>& deny, Arch arch,
                                   Diagnostics& diagnostics) {
  Resolver resolver(policy, arch, diagnostics);
  resolver.Add(allow, Side::kAllow);
  resolver.Add(deny, Side::kDeny);
  return resolver.Take();
}

CallRule MakeRule(Arch arch, std::string_view name, std::vector<Conjunction> allow) {
  CallRule rule;
  rule.nr = SyscallNumber(arch, name).value();
  rule.allow = std::move(allow);
  return rule;
}

Condition Equal(unsigned arg, unsigned bits, uint64_t value) {
  return MaskedEqual(arg, bits, bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1, value);
}

Condition MaskedEqual(unsigned arg, unsigned bits, uint64_t mask, uint64_t value) {
  Condition condition;
  condition.arg = static_cast<uint8_t>(arg);
  condition.bits = static_cast<uint8_t>(bits);
  condition.mask = mask;
  condition.value = value;
  return condition;
}

std::vector<CallRule> MergeRules(std::vector<CallRule> rules) {
  rules = Join(std::move(rules));
  std::erase_if(rules, AllowsNothing);
  return rules;
}

}  // namespace bulkhead
