// SPDX-License-Identifier: Apache-2.0
#include "cli/learn_calls.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "compiler/resolve_calls.h"
#include "policy/diagnostics.h"
#include "policy/owned_calls.h"
#include "profiles/profile.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// Of those that are in no group, reach nothing but the caller and what it holds already.
constexpr std::string_view kHarmless[] = {
    "epoll_ctl_old", "getdents",      "gettid",          "mincore",         "mlock2",
    "munlockall",    "pkey_alloc",    "pkey_free",       "readahead",       "recvmmsg",
    "sched_getattr", "semop",         "set_robust_list", "sync_file_range", "timer_getoverrun",
    "umask",         "get_mempolicy", "getrlimit",       "membarrier",      "sched_yield"};

// Never by evidence alone: whoever has it can write new code.
constexpr std::string_view kNotLearnt = "executable-memory";

struct Group {
  std::string name;
  std::vector<CallRule> rules;
};

bool Passes(const std::vector<CallRule>& rules, Arch arch, const SeccompData& data) {
  return ReferenceAction({.arch = arch, .rules = rules}, data) == kRetAllow;
}

class Chooser {
 public:
  Chooser(const std::vector<const SeenCall*>& needed, const Policy& policy, Arch arch)
      : left_(needed), arch_(arch) {
    for (const SyscallGroup& group : policy.groups) {
      if (group.name == kNotLearnt) continue;
      SyscallRule rule;
      rule.name = "@" + group.name;
      Diagnostics ignored;
      auto rules = MergeRules(ResolveCalls(policy, {rule}, {}, arch, ignored));
      if (!ignored.HasErrors()) groups_.push_back({group.name, std::move(rules)});
    }
    for (const SeenCall* call : needed) seen_.insert(call->data.nr);
  }

  LearntCalls Choose() {
    while (const Group* best = Best()) Take(*best);
    for (const SeenCall* call : std::exchange(left_, {})) Single(*call);
    learnt_.single = MergeRules(std::move(learnt_.single));
    learnt_.left = std::move(left_);
    return std::move(learnt_);
  }

 private:
  // Calls that the group would newly grant, used and not.
  std::pair<int, int> Worth(const Group& group) const {
    std::set<uint32_t> used;
    for (const SeenCall* call : left_) {
      if (Passes(group.rules, arch_, call->data)) used.insert(call->data.nr);
    }
    int unused = 0;
    for (const CallRule& rule : group.rules) {
      if (!seen_.contains(rule.nr) && !granted_.contains(rule.nr)) ++unused;
    }
    return {static_cast<int>(used.size()), unused};
  }

  // Most of it must be used; then the one that brings most, the smaller of equals.
  const Group* Best() const {
    const Group* best = nullptr;
    int best_worth = 0;
    for (const Group& group : groups_) {
      const auto [used, unused] = Worth(group);
      if (used < 2 || used < unused) continue;
      const int worth = 2 * used - unused;
      if (worth <= best_worth) continue;
      best = &group;
      best_worth = worth;
    }
    return best;
  }

  void Take(const Group& group) {
    GroupChoice choice;
    choice.name = group.name;
    std::set<std::string> used;
    std::erase_if(left_, [&](const SeenCall* call) {
      if (!Passes(group.rules, arch_, call->data)) return false;
      used.insert(call->name);
      choice.evidence.Add(call->evidence);
      return true;
    });
    for (const CallRule& rule : group.rules) {
      if (!seen_.contains(rule.nr) && granted_.insert(rule.nr).second) {
        const std::string_view name = SyscallName(arch_, rule.nr);
        // Which are not asked about.
        if (std::ranges::find(kAlwaysAllowed, name) != std::end(kAlwaysAllowed)) continue;
        choice.unused.emplace_back(name);
      }
    }
    choice.used.assign(used.begin(), used.end());
    learnt_.groups.push_back(std::move(choice));
  }

  // With those of the library's arguments that were seen; else only where nothing can go wrong.
  void Single(const SeenCall& call) {
    for (const Group& group : groups_) {
      const auto rule = std::ranges::find(group.rules, call.data.nr, &CallRule::nr);
      if (rule == group.rules.end() || !Passes({*rule}, arch_, call.data)) continue;
      CallRule needed = *rule;
      std::erase_if(needed.allow, [&](const Conjunction& one) {
        return !Passes({{rule->nr, {one}, {}}}, arch_, call.data);
      });
      return Add(call, std::move(needed));
    }
    const bool harmless =
        std::find(std::begin(kHarmless), std::end(kHarmless), call.name) != std::end(kHarmless);
    if (harmless && OwnerOf(call.name).empty()) return Add(call, MakeRule(arch_, call.name, {{}}));
    left_.push_back(&call);
  }

  void Add(const SeenCall& call, CallRule rule) {
    learnt_.single.push_back(std::move(rule));
    learnt_.evidence[call.name].Add(call.evidence);
  }

  std::vector<Group> groups_;
  std::vector<const SeenCall*> left_;
  std::set<uint32_t> seen_;
  std::set<uint32_t> granted_;
  Arch arch_;
  LearntCalls learnt_;
};

}  // namespace

LearntCalls LearnCalls(const std::vector<const SeenCall*>& needed, const Policy& policy,
                       Arch arch) {
  return Chooser(needed, policy, arch).Choose();
}

}  // namespace bulkhead
