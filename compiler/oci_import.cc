// SPDX-License-Identifier: Apache-2.0
#include "compiler/oci_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "compiler/allowed_calls.h"
#include "compiler/calls_text.h"
#include "compiler/compile.h"
#include "compiler/json_tree.h"
#include "compiler/oci_select.h"
#include "compiler/oci_tests.h"
#include "policy/owned_calls.h"
#include "policy/text.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Set = CallSets::Set;

constexpr size_t kMaxNodes = size_t{1} << 22;
constexpr size_t kMaxItems = 1024;  // of a list of the language
constexpr uint32_t kEperm = 1;
constexpr uint32_t kEnosys = 38;
constexpr std::string_view kComponent = "imported";

bool Allows(OciAction action) { return action == OciAction::kAllow; }

bool Kills(OciAction action) {
  return action == OciAction::kKillThread || action == OciAction::kKillProcess;
}

std::string Scalar(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '.' || c == '-' || c == '_';
  };
  if (std::ranges::all_of(text, plain)) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

// What the profile says of one call of the target.
struct Reading {
  std::vector<Conjunction> allow;
  std::vector<Conjunction> deny;
  std::vector<Conjunction> implied;  // allowed, as it is in every component
  bool named_allowed = false;        // by a rule, carried over or not
  Place place;                       // of the first rule that allows it
};

class Importer {
 public:
  Importer(const ImportOptions& options, Sources& sources, Diagnostics& diagnostics)
      : options_(options), sources_(sources), diagnostics_(diagnostics), sets_(kMaxNodes) {}

  std::optional<Imported> Import(std::string name, std::string text) {
    const auto file = static_cast<uint32_t>(sources_.size());
    sources_.push_back({std::move(name), std::move(text)});
    const auto profile = Read(file);
    if (!profile) return std::nullopt;
    const auto bare = CompileWith("", OciAction::kErrno);
    if (!bare) return std::nullopt;
    arch_ = (*bare)->target.arch;
    auto always = AllowedCalls(ProfileOf(*bare).filter, arch_, sets_);
    if (!always) return Contradiction(profile->default_place, always.error());
    always_ = std::move(*always);
    ListSettings(*profile, arch_, losses_);
    const auto rules = SelectRules(*profile, (*bare)->target, options_.caps, losses_);
    for (const OciRule* rule : rules) {
      if (Allows(rule->action)) AddAllowed(*rule);
    }
    for (const OciRule* rule : rules) {
      if (!Allows(rule->action)) AddDenied(*rule);
    }
    const CallLists lists = CallsText(Rules(), arch_, kListIndent);
    if (lists.most_items > kMaxItems) return TooMany(profile->default_place, lists.most_items);
    const auto compiled = CompileWith(lists.yaml, profile->default_action);
    if (!compiled) return std::nullopt;
    ListAnswers(*profile, rules, ProfileOf(*compiled));
    if (const auto what = Compare(ProfileOf(*compiled), profile->default_place); !what.empty()) {
      return Contradiction(profile->default_place, what);
    }
    return Imported{Policy(lists.yaml, profile->default_action), losses_.Take()};
  }

 private:
  static constexpr size_t kListIndent = 6;

  std::optional<OciProfile> Read(uint32_t file) {
    const std::string text = sources_[file].text;
    const auto root = ReadJson(text, file, diagnostics_);
    if (!root) return std::nullopt;
    auto profile = ReadOciProfile(*root, diagnostics_);
    if (!profile) return std::nullopt;
    const OciAction otherwise = profile->default_action;
    if (Allows(otherwise) || otherwise == OciAction::kLog) {
      diagnostics_.Error(profile->default_place, "E0610", "this profile allows by default",
                         "a component makes the calls that its policy lists and no others: a list "
                         "of what is refused lets every call pass that is newer than the list");
      return std::nullopt;
    }
    return profile;
  }

  std::string Policy(const std::string& calls, OciAction otherwise) const {
    std::string text = fmt::format(
        "# Made of an OCI seccomp profile: system calls only. Files, network and limits are still "
        "to be said.\n"
        "bulkhead: 1\nenclave: imported\ntarget: {}\ncomponents:\n  {}:\n    exec: [{}]\n"
        "    files: {{execute: [{}, \"@loader\"], read: [\"@libraries\"]}}\n",
        Scalar(options_.target), kComponent, Scalar(options_.exec), Scalar(options_.exec));
    if (Kills(otherwise)) text += "    on-violation: kill\n";
    if (!calls.empty()) text += "    syscalls:\n" + calls;
    return text;
  }

  std::optional<Bundle> CompileWith(const std::string& calls, OciAction otherwise) {
    LoadOptions options;
    options.target = options_.target;
    options.running = options_.running;
    const auto loaded = LoadPolicyText("<imported policy>", Policy(calls, otherwise), "", options,
                                       sources_, diagnostics_);
    if (!loaded) return std::nullopt;
    // It has no waivers. Of a policy that compiles there is nothing to say: one without the calls
    // is compiled on the way, and what is printed in the end is for `check`.
    Diagnostics found;
    auto compilation = Compile(*loaded, {"1970-01-01"}, found);
    if (compilation) return std::move(compilation->bundle);
    diagnostics_.Append(found);
    return std::nullopt;
  }

  static const ProfileData& ProfileOf(const Bundle& bundle) { return **bundle.Find(kComponent); }

  std::nullopt_t TooMany(const Place& place, size_t items) {
    diagnostics_.Error(place, "E0611",
                       fmt::format("this profile comes to {} rules of system calls", items),
                       fmt::format("a list of a policy has at most {} items", kMaxItems));
    return std::nullopt;
  }

  // The call's number; nothing, and the loss listed, where the target has no such call.
  std::optional<uint32_t> NumberOf(const OciRule& rule, const OciName& name) {
    const auto nr = SyscallNumber(arch_, name.name);
    if (!nr) {
      losses_.AddName(rule.place, name, fmt::format("{} has no such call", ArchName(arch_)));
    }
    return nr;
  }

  // Why no policy can allow the call as a rule of `syscalls`; empty: it can.
  std::string WhyNot(std::string_view name, uint32_t nr) const {
    const auto forbidden = ForbiddenCalls(arch_);
    if (std::ranges::find(forbidden, nr) != forbidden.end()) {
      return "no component may make the call: it defeats confinement as a whole";
    }
    const std::string_view owner = OwnerOf(name);
    if (owner.empty()) return "";
    return fmt::format("`{}` decides about the call: say there what the component needs", owner);
  }

  void AddAllowed(const OciRule& rule) {
    for (const OciName& name : rule.names) {
      const auto nr = NumberOf(rule, name);
      if (!nr) continue;
      Reading& reading = readings_[*nr];
      if (!std::exchange(reading.named_allowed, true)) reading.place = name.place;
      const OciTests tests = ConvertOciTests(arch_, name.name, rule.args);
      std::string why = WhyNot(name.name, *nr);
      if (!why.empty() && IsImplied(*nr, tests.any)) {
        std::ranges::copy(tests.any, std::back_inserter(reading.implied));
        continue;
      }
      if (why.empty()) why = tests.obstacle;
      if (why.empty() && tests.any.empty()) why = "no call passes the test of its arguments";
      if (why.empty()) {
        std::ranges::copy(tests.any, std::back_inserter(reading.allow));
      } else {
        losses_.AddName(rule.place, name, std::move(why));
      }
    }
  }

  bool IsImplied(uint32_t nr, const std::vector<Conjunction>& any) {
    const auto found = always_.find(nr);
    return found != always_.end() && !any.empty() &&
           sets_.bdd().And(sets_.AnyHolds(any), Bdd::Not(found->second)) == Bdd::kNothing;
  }

  // Where nothing allows the call there is nothing to deny.
  void AddDenied(const OciRule& rule) {
    for (const OciName& name : rule.names) {
      const auto nr = NumberOf(rule, name);
      if (!nr || !readings_[*nr].named_allowed) continue;
      Reading& reading = readings_[*nr];
      OciTests tests = ConvertOciTests(arch_, name.name, rule.args);
      if (!tests.obstacle.empty()) {
        losses_.AddName(rule.place, name,
                        fmt::format("refused whatever its arguments are: {}", tests.obstacle));
        tests.any = {{}};
      }
      const Set both = sets_.bdd().And(sets_.AnyHolds(reading.allow), sets_.AnyHolds(tests.any));
      if (both != Bdd::kNothing && tests.obstacle.empty()) {
        losses_.AddName(rule.place, name,
                        "allowed by one rule and refused by another: refused here; what a runtime "
                        "makes of it depends on libseccomp");
      }
      std::ranges::move(tests.any, std::back_inserter(reading.deny));
    }
  }

  std::vector<CallRule> Rules() {
    std::vector<CallRule> rules;
    for (auto& [nr, reading] : readings_) {
      for (auto* list : {&reading.allow, &reading.deny}) {
        std::ranges::sort(*list);
        list->erase(std::unique(list->begin(), list->end()), list->end());
      }
      // No policy can deny a call that passes by every filter. It has no arguments: denied at all
      // is denied altogether.
      if (!reading.deny.empty() && PassesByFilters(arch_, nr)) continue;
      if (reading.named_allowed) rules.push_back({nr, reading.allow, reading.deny});
    }
    return rules;
  }

  // Refused is refused; by which answer is another matter.
  void ListAnswers(const OciProfile& profile, const std::vector<const OciRule*>& rules,
                   const ProfileData& made) {
    const bool kills = Kills(profile.default_action);
    const auto otherwise = profile.default_errno.value_or(kEperm);
    const OciAction action = profile.default_action;
    if (action == OciAction::kKillThread) {
      losses_.Add(profile.default_place, "the default action",
                  "the component ends as a whole, not one thread of it");
    } else if (action != OciAction::kKillProcess &&
               (action != OciAction::kErrno || otherwise != kEperm)) {
      losses_.Add(profile.default_place, "the default answer",
                  fmt::format("{} has no equivalent: refused calls get EPERM, ENOSYS where honest "
                              "code probes for them, and are recorded",
                              Answer(action, profile.default_errno)));
    }
    for (const OciRule* rule : rules) {
      if (Allows(rule->action)) continue;
      for (const OciName& name : rule->names) {
        const auto nr = SyscallNumber(arch_, name.name);
        if (!nr) continue;
        const bool absent = std::ranges::binary_search(made.absent, *nr);
        const bool exact =
            Kills(rule->action)
                ? kills && !absent
                : rule->action == OciAction::kErrno && (absent || !kills) &&
                      rule->errno_ret.value_or(kEperm) == (absent ? kEnosys : kEperm);
        if (exact) continue;
        const char* here = absent ? "ENOSYS" : kills ? "ends the component" : "EPERM";
        losses_.AddName(rule->place, name,
                        fmt::format("{} has no equivalent: the call is refused all the same ({})",
                                    Answer(rule->action, rule->errno_ret), here));
      }
    }
  }

  static std::string Answer(OciAction action, std::optional<uint32_t> number) {
    const bool with_errno = action == OciAction::kErrno || action == OciAction::kTrace;
    if (!with_errno) return std::string(ActionName(action));
    return fmt::format("{} {}", ActionName(action), number.value_or(kEperm));
  }

  Set Said(uint32_t nr) {
    const auto found = readings_.find(nr);
    if (found == readings_.end()) return Bdd::kNothing;
    const Reading& reading = found->second;
    const Set any = sets_.bdd().Or(sets_.AnyHolds(reading.allow), sets_.AnyHolds(reading.implied));
    return sets_.bdd().And(any, Bdd::Not(sets_.AnyHolds(reading.deny)));
  }

  // The filter itself against what was read: what they contradict each other in, or nothing.
  std::string Compare(const ProfileData& made, const Place& place) {
    auto allowed = AllowedCalls(made.filter, arch_, sets_);
    if (!allowed) return allowed.error();
    for (const auto& [nr, reading] : readings_) (*allowed)[nr];
    std::vector<std::string> besides;
    for (const auto& [nr, passes] : *allowed) {
      const Set said = Said(nr);
      if (const Set closed = sets_.bdd().And(said, Bdd::Not(passes)); closed != Bdd::kNothing) {
        ListClosed(nr, closed);
      }
      const Set more = sets_.bdd().And(passes, Bdd::Not(said));
      if (more == Bdd::kNothing) continue;
      const auto common = always_.find(nr);
      if (common == always_.end() ||
          sets_.bdd().And(more, Bdd::Not(common->second)) != Bdd::kNothing) {
        return fmt::format("`{}` passes where it should not", SyscallName(arch_, nr));
      }
      besides.push_back(fmt::format("`{}`", SyscallName(arch_, nr)));
    }
    if (sets_.bdd().Exhausted()) return "it is too intricate to be compared";
    if (!besides.empty()) {
      losses_.Add(place, fmt::format("the refusal of {}", fmt::join(besides, ", ")),
                  "every component may make these calls, as far as they reach nobody else");
    }
    return "";
  }

  void ListClosed(uint32_t nr, Set closed) {
    const std::string_view name = SyscallName(arch_, nr);
    SeccompData data = sets_.AnyMember(closed);
    data.nr = nr;
    losses_.Add(readings_.at(nr).place, fmt::format("a part of `{}`", name),
                fmt::format("closed in every component, for example {}", CallText(arch_, data)));
  }

  std::nullopt_t Contradiction(const Place& place, const std::string& what) {
    diagnostics_.Error(place, "E0612", fmt::format("the policy is not this profile: {}", what),
                       "this is a bug in bulkhead: please report it with the profile");
    return std::nullopt;
  }

  const ImportOptions& options_;
  Sources& sources_;
  Diagnostics& diagnostics_;
  CallSets sets_;
  LossList losses_;
  Arch arch_ = Arch::kX86_64;
  std::map<uint32_t, Set> always_;  // allowed in every component
  std::map<uint32_t, Reading> readings_;
};

}  // namespace

bool IsCapability(std::string_view name) {
  // linux/capability.h, up to Linux 7.2.
  constexpr std::string_view kNames[] = {"AUDIT_CONTROL",   "AUDIT_READ",   "AUDIT_WRITE",
                                         "BLOCK_SUSPEND",   "BPF",          "CHECKPOINT_RESTORE",
                                         "CHOWN",           "DAC_OVERRIDE", "DAC_READ_SEARCH",
                                         "FOWNER",          "FSETID",       "IPC_LOCK",
                                         "IPC_OWNER",       "KILL",         "LEASE",
                                         "LINUX_IMMUTABLE", "MAC_ADMIN",    "MAC_OVERRIDE",
                                         "MKNOD",           "NET_ADMIN",    "NET_BIND_SERVICE",
                                         "NET_BROADCAST",   "NET_RAW",      "PERFMON",
                                         "SETFCAP",         "SETGID",       "SETPCAP",
                                         "SETUID",          "SYSLOG",       "SYS_ADMIN",
                                         "SYS_BOOT",        "SYS_CHROOT",   "SYS_MODULE",
                                         "SYS_NICE",        "SYS_PACCT",    "SYS_PTRACE",
                                         "SYS_RAWIO",       "SYS_RESOURCE", "SYS_TIME",
                                         "SYS_TTY_CONFIG",  "WAKE_ALARM"};
  return name.starts_with("CAP_") && std::ranges::find(kNames, name.substr(4)) != std::end(kNames);
}

std::optional<Imported> ImportOci(std::string name, std::string text, const ImportOptions& options,
                                  Sources& sources, Diagnostics& diagnostics) {
  return Importer(options, sources, diagnostics).Import(std::move(name), std::move(text));
}

}  // namespace bulkhead
