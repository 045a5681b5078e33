// SPDX-License-Identifier: Apache-2.0
#include "compiler/ask.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>

#include "compiler/asked.h"
#include "compiler/resolve_calls.h"
#include "policy/owned_calls.h"
#include "profiles/outer_bounds.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

// The order in which the kernel comes to them for one system call.
constexpr Layer kOrder[] = {Layer::kSeccomp,   Layer::kBroker,    Layer::kDescriptor,
                            Layer::kView,      Layer::kNamespace, Layer::kCapability,
                            Layer::kOwnership, Layer::kLandlock,  Layer::kSupervisor,
                            Layer::kCgroup,    Layer::kRlimit};

size_t PlaceOf(Layer layer) {
  return static_cast<size_t>(std::ranges::find(kOrder, layer) - std::begin(kOrder));
}

bool IsAbsent(const ProfileData& profile, uint32_t nr) {
  return std::ranges::binary_search(profile.absent, nr);
}

std::string RefusalText(const ProfileData& profile, std::string_view call, uint32_t nr,
                        uint32_t action) {
  if (action == kRetKillProcess) return fmt::format("{} kills the process", call);
  if (action == kRetTrace) {
    return fmt::format("{} is refused: ENOSYS; the launch's own passes once", call);
  }
  if (action == kRetErrno) {
    return fmt::format("{} is not made, and answered 0: what it was handed listens already", call);
  }
  if (!IsAbsent(profile, nr)) return fmt::format("{} is refused: EPERM", call);
  return fmt::format("{} is refused: ENOSYS{}", call, profile.notifies ? ", counted apart" : "");
}

uint32_t ActionOn(const ProfileData& profile, SeccompData& data, uint32_t nr) {
  data.nr = nr;
  data.arch = AuditArch(profile.arch);
  return Evaluate(profile.filter, data).action;
}

// The part of the component that decides about the call.
std::string RuleOf(const Asked& asked, std::string_view call) {
  const std::string_view owner = OwnerOf(call);
  return asked.Id(owner.empty() ? "syscalls" : owner);
}

Recorder FilterRecorder(const ProfileData& profile) {
  return profile.notifies ? Recorder::kNotification : Recorder::kNone;
}

// A statement's rows of the ledger: itself and what it is a part of.
bool IsAbout(const LedgerRow& row, std::string_view rule) {
  return rule.starts_with(row.statement) &&
         (rule.size() == row.statement.size() || rule[row.statement.size()] == '.' ||
          rule[row.statement.size()] == ':');
}

std::vector<LedgerRow> InPlay(const Asked& asked, const Explanation& answer) {
  std::vector<LedgerRow> rows;
  for (const LedgerRow* row : asked.unenforced) {
    const bool about = IsAbout(*row, answer.rule) ||
                       std::ranges::any_of(answer.controls, [&](const ControlVerdict& control) {
                         return IsAbout(*row, control.rule);
                       });
    if (about) rows.push_back(*row);
  }
  return rows;
}

size_t Refusals(const Explanation& answer) {
  return static_cast<size_t>(
      std::ranges::count(answer.controls, Verdict::kDeny, &ControlVerdict::verdict));
}

// The statement that refuses first, or the last one that grants: the one nearest to the object.
void FindRule(Explanation& answer) {
  for (const ControlVerdict& control : answer.controls) {
    const bool decides = control.verdict == answer.verdict && control.verdict != Verdict::kAllow &&
                         control.verdict != Verdict::kUndecided;
    if (control.rule.empty() || (answer.verdict == Verdict::kDeny && !decides)) continue;
    answer.rule = control.rule;
    if (decides) return;
  }
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  constexpr std::string_view kNames[] = {"allow", "allow until ready", "undecided", "deny"};
  return kNames[static_cast<size_t>(verdict)];
}

Verdict Worst(const std::vector<ControlVerdict>& controls) {
  Verdict worst = Verdict::kAllow;
  for (const ControlVerdict& control : controls) worst = std::max(worst, control.verdict);
  return worst;
}

namespace {

ControlVerdict EarlyVerdict(const Asked& asked, const std::string& calls) {
  return {Layer::kSeccomp, Verdict::kUntilReady,
          fmt::format("{} passes until it is ready, and is refused from then on", calls),
          asked.Id("syscalls.startup"), Recorder::kNotification};
}

CallSets::Set SetOf(const AllowedSets& sets, uint32_t nr) {
  const auto found = sets.find(nr);
  return found == sets.end() ? Bdd::kNothing : found->second;
}

SeccompData CallOf(const Asked& asked, CallSets::Set set, uint32_t nr) {
  SeccompData data = asked.sets.AnyMember(set);
  data.nr = nr;
  data.arch = AuditArch(asked.profile.arch);
  return data;
}

// Refused, recorded and let pass.
bool IsObserved(const ProfileData& profile, const SeccompData& data) {
  return profile.on_violation == OnViolation::kObserve && !IsOutOfBounds(profile.arch, data) &&
         !std::ranges::binary_search(profile.absent, data.nr);
}

}  // namespace

ControlVerdict FilterVerdict(const Asked& asked, const std::vector<CallForm>& forms,
                             std::vector<SeccompData>& calls) {
  const Arch arch = asked.profile.arch;
  std::string names;
  std::string until_ready;
  for (const CallForm& form : forms) {
    SeccompData data;
    if (Passes(asked.allowed, arch, form, asked.sets, &data)) {
      calls.push_back(data);
      names.append(names.empty() ? "" : ", ").append(form.call);
      continue;
    }
    if (asked.startup != nullptr && Passes(*asked.startup, arch, form, asked.sets, &data)) {
      calls.push_back(data);
      until_ready.append(until_ready.empty() ? "" : ", ").append(form.call);
      continue;
    }
    const auto nr = SyscallNumber(arch, form.call);
    if (!nr) {
      return {Layer::kSeccomp, Verdict::kDeny,
              fmt::format("{} is no call of {}", form.call, ArchName(arch)),
              RuleOf(asked, form.call), Recorder::kNone};
    }
    const CallSets::Set set = asked.sets.AnyHolds({form.when});
    data = asked.sets.AnyMember(set);
    const uint32_t action = ActionOn(asked.profile, data, *nr);
    calls.push_back(data);
    if (std::ranges::binary_search(asked.profile.broker.calls, *nr)) {
      return {Layer::kBroker, Verdict::kUndecided,
              fmt::format("{} is made by the broker, as the address says", form.call),
              asked.Id("network"), Recorder::kBroker};
    }
    if (IsObserved(asked.profile, calls.back())) {
      names.append(names.empty() ? "" : ", ").append(form.call).append(" (observed)");
      continue;
    }
    const Recorder recorder = action == kRetErrno ? Recorder::kNone : FilterRecorder(asked.profile);
    return {Layer::kSeccomp, Verdict::kDeny, RefusalText(asked.profile, form.call, *nr, action),
            RuleOf(asked, form.call), recorder};
  }
  if (!until_ready.empty()) return EarlyVerdict(asked, until_ready);
  return {Layer::kSeccomp, Verdict::kAllow, fmt::format("{} passes the filter", names), {}, {}};
}

Explanation Best(Asked& asked, const Attempts& attempts) {
  Explanation best;
  bool first = true;
  for (const Attempt& attempt : attempts) {
    Explanation answer;
    if (!attempt.calls.empty()) {
      answer.controls.push_back(FilterVerdict(asked, attempt.calls, answer.calls));
    }
    answer.controls.insert(answer.controls.end(), attempt.controls.begin(), attempt.controls.end());
    std::ranges::stable_sort(answer.controls, {},
                             [](const ControlVerdict& c) { return PlaceOf(c.layer); });
    // The filter that refuses a later call is asked after what has already refused an earlier one.
    if (answer.calls.size() > attempt.decided_at + 1 &&
        answer.controls.front().verdict == Verdict::kDeny) {
      std::rotate(answer.controls.begin(), answer.controls.begin() + 1, answer.controls.end());
    }
    answer.verdict = Worst(answer.controls);
    if (first ||
        std::tuple(answer.verdict, Refusals(answer)) < std::tuple(best.verdict, Refusals(best))) {
      best = std::move(answer);
    }
    first = false;
  }
  FindRule(best);
  if (best.verdict == Verdict::kDeny || best.verdict == Verdict::kUntilReady) {
    const auto refused = std::ranges::find(best.controls, best.verdict, &ControlVerdict::verdict);
    if (refused != best.controls.end()) best.recorder = refused->recorder;
  }
  best.in_play = InPlay(asked, best);
  best.note = asked.note;
  return best;
}

Explanation AnswerCall(Asked& asked) {
  const Question& question = asked.question;
  const ProfileData& profile = asked.profile;
  const Target& target = asked.enclave.target;
  const uint32_t nr = *SyscallNumber(profile.arch, question.call);
  Conjunction given;
  for (const auto& [arg, value] : question.args) given.push_back(Equal(arg, 64, value));
  const CallForm form{question.call, given};
  Explanation answer;
  answer.rule = RuleOf(asked, question.call);
  if (PassesByFilters(profile.arch, nr, target.kernel_major, target.kernel_minor)) {
    answer.verdict = Verdict::kAllow;
    answer.controls.push_back(
        {Layer::kSeccomp, Verdict::kAllow, "no filter is asked", answer.rule, {}});
    answer.note =
        "the kernel runs it only in trampolines that it maps itself where root has set a probe";
    return answer;
  }
  ControlVerdict verdict = FilterVerdict(asked, {form}, answer.calls);
  if (verdict.verdict != Verdict::kUntilReady) verdict.rule = answer.rule;
  answer.rule = verdict.rule;
  const bool observed = !answer.calls.empty() && IsObserved(profile, answer.calls.back());
  const bool by_filter = verdict.layer == Layer::kSeccomp && !observed;
  if (observed && given.empty() && HasOuterBounds(question.call)) {
    verdict.verdict = Verdict::kUndecided;
    answer.note = "it is observed and passes, but with some arguments: give them as NAME=VALUE";
  }
  if (by_filter && verdict.verdict != Verdict::kDeny) {
    const CallSets::Set all = asked.sets.AnyHolds({given});
    const AllowedSets& passing = asked.startup != nullptr ? *asked.startup : asked.allowed;
    const CallSets::Set refused = asked.sets.bdd().And(Bdd::Not(SetOf(passing, nr)), all);
    const CallSets::Set early = asked.sets.bdd().And(Bdd::Not(SetOf(asked.allowed, nr)), all);
    if (refused == Bdd::kNothing && early != Bdd::kNothing && verdict.verdict == Verdict::kAllow) {
      // With these arguments it passes, and with others for some time: not more than that is sure.
      answer.calls = {CallOf(asked, early, nr)};
      verdict = EarlyVerdict(asked, fmt::format("{} with some arguments", question.call));
      answer.rule = verdict.rule;
    }
    if (refused != Bdd::kNothing) {
      const bool until_ready = verdict.verdict == Verdict::kUntilReady;
      SeccompData data = asked.sets.AnyMember(refused);
      const uint32_t action = ActionOn(profile, data, nr);
      answer.calls.push_back(data);
      verdict.verdict = Verdict::kUndecided;
      const bool brokered = std::ranges::binary_search(profile.broker.calls, nr);
      verdict.text = fmt::format(
          "some arguments pass{}; with others {}", until_ready ? " until it is ready" : "",
          brokered ? fmt::format("{} is made by the broker, as the address says", question.call)
                   : RefusalText(profile, question.call, nr, action));
      answer.note = "the answer hangs on arguments: give them as NAME=VALUE";
    }
  }
  if (verdict.verdict == Verdict::kDeny || verdict.verdict == Verdict::kUntilReady) {
    answer.recorder = verdict.recorder;
  }
  answer.verdict = verdict.verdict;
  answer.controls.push_back(std::move(verdict));
  answer.in_play = InPlay(asked, answer);
  return answer;
}

Evaluator::Evaluator(const Bundle& bundle) : bundle_(bundle) {
  for (const LedgerRow& row : bundle->ledger) {
    if (row.status != Status::kEnforced) unenforced_[row.component].push_back(&row);
  }
}

tl::expected<Evaluator::Allowed, std::string> Evaluator::AllowedOf(const ProfileData& component) {
  Allowed& known = allowed_[&component];
  if (known.always != nullptr) return known;
  const auto always = reads_.Read(component.arch, component.filter);
  if (!always) return tl::make_unexpected(always.error());
  if (!component.startup.empty()) {
    const auto startup = reads_.Read(component.arch, component.startup);
    if (!startup) return tl::make_unexpected(startup.error());
    known.startup = *startup;
  }
  known.always = *always;
  return known;
}

const UnenforcedRows& Evaluator::UnenforcedOf(const ProfileData& component) {
  const auto [known, is_new] = about_.try_emplace(component.name);
  if (is_new) {
    known->second = unenforced_[{}];
    const UnenforcedRows& own = unenforced_[component.name];
    known->second.insert(known->second.end(), own.begin(), own.end());
  }
  return known->second;
}

tl::expected<Explanation, std::string> Evaluator::Ask(const ProfileData& component,
                                                      const Question& question) {
  const auto allowed = AllowedOf(component);
  if (!allowed) return tl::make_unexpected(allowed.error());
  Asked asked{*bundle_,
              component,
              question,
              *allowed->always,
              allowed->startup,
              reads_.sets(),
              UnenforcedOf(component),
              {}};
  Asking attempts;
  switch (Row(question.action).object) {
    case ObjectKind::kPath:
    case ObjectKind::kTwoPaths:
      attempts = AttemptFile(asked);
      break;
    case ObjectKind::kEndpoint:
      attempts = AttemptNetwork(asked);
      break;
    case ObjectKind::kSocket:
    case ObjectKind::kCall:
      return AnswerCall(asked);
    case ObjectKind::kComponent:
    case ObjectKind::kCapability:
    case ObjectKind::kTarget:
      attempts = AttemptPeer(asked);
      break;
    case ObjectKind::kAttestation:
      attempts = AttemptAttestation(asked);
  }
  if (!attempts) return tl::make_unexpected(attempts.error());
  if (reads_.sets().bdd().Exhausted()) {
    return tl::make_unexpected("the filter is too intricate to be read back");
  }
  return Best(asked, *attempts);
}

}  // namespace bulkhead
