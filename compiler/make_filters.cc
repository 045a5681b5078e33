// SPDX-License-Identifier: Apache-2.0
// From the planned calls to the filters, each proved before it goes anywhere.
#include <fmt/format.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/filter_gen.h"
#include "compiler/planner.h"
#include "compiler/prove.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

void ReportDisproof(const ComponentPlan& plan, const Disproof& disproof) {
  std::string help = "this is a bug in bulkhead: please report it with the policy";
  if (disproof.expected != disproof.returned) {
    const SeccompData& data = disproof.data;
    help =
        fmt::format("call {} ({}) of architecture {:#x} with ({:#x}): {:#x} instead of {:#x}; {}",
                    data.nr, SyscallName(plan.enclave.target.arch, data.nr), data.arch,
                    fmt::join(data.args, ", "), disproof.returned, disproof.expected, help);
  }
  plan.Error(plan.policy.at.place, "E0544",
             fmt::format("the filter of `{}` is not proved to be its plan: {}", plan.policy.name,
                         disproof.reason),
             std::move(help));
}

// What no filter can close on this target.
std::string UnaskedNote(const Target& target) {
  std::vector<std::string_view> names;
  for (const SyscallRow& row : AllSyscalls()) {
    const auto nr = row.Number(target.arch);
    if (nr && PassesByFilters(target.arch, *nr, target.kernel_major, target.kernel_minor)) {
      names.push_back(row.name);
    }
  }
  if (names.empty()) return {};
  return fmt::format(
      "; no filter is asked about {}, which the kernel runs only in trampolines of its own",
      fmt::join(names, ", "));
}

constexpr std::string_view kAlwaysNote =
    "always allowed: close, exit, exit_group, restart_syscall, rt_sigreturn, write; ";

void NotifyingRow(ComponentPlan& plan, const std::string& allowed) {
  plan.Need(Feature::kSeccompNotify, 1, "syscalls");
  plan.Need(Feature::kPidfd, 1, "syscalls");
  plan.Row(
      "syscalls", {{Layer::kSeccomp, allowed}}, Status::kEnforced, Recorder::kNotification,
      fmt::format(
          "{}calls that honest code probes for are answered ENOSYS and counted apart; a killed "
          "process is recorded by the kernel's audit where it is read, else by its exit{}",
          kAlwaysNote, UnaskedNote(plan.enclave.target)));
}

void SilentRow(ComponentPlan& plan, const CallPlan& calls, const std::string& allowed) {
  std::vector<Control> controls{{Layer::kSeccomp, allowed}};
  if (calls.traced) {
    plan.Need(Feature::kSeccompTrace, 1, "syscalls");
    controls.push_back(
        {Layer::kSupervisor, "the launch's own exec passes once, by its tracer, who is gone then"});
  }
  plan.Row(
      "syscalls", std::move(controls), Status::kSubstituted, Recorder::kNone,
      fmt::format("{}no listeners in this kernel, so no refusal is recorded: the filter itself "
                  "{}, and answers ENOSYS to {}what honest code probes for; that the "
                  "component's first process was killed is recorded by its exit{}",
                  kAlwaysNote,
                  calls.otherwise == kRetKillProcess ? "kills the process" : "answers EPERM",
                  calls.traced ? "exec and to " : "", UnaskedNote(plan.enclave.target)));
}

void Finish(ComponentPlan& plan, const CallPlan& calls, const Filter& filter) {
  plan.profile.filter = filter;
  plan.profile.absent = calls.absent;
  plan.profile.notifies = plan.features.Has(Feature::kSeccompNotify);
  const std::string allowed =
      fmt::format("{} calls allowed, {} instructions; foreign architectures and x32 are killed",
                  calls.rules.size(), filter.size());
  if (plan.profile.notifies) {
    NotifyingRow(plan, allowed);
  } else {
    SilentRow(plan, calls, allowed);
  }
}

// Nothing for a plan without a filter, or without a proof; that is an error.
std::optional<Filter> MakeFilter(const ComponentPlan& plan, const CallPlan& calls,
                                 FilterGenerator& generator, Prover& prover) {
  auto filter = generator.Generate(calls);
  if (!filter) {
    plan.Error(
        plan.policy.at.place, "E0542",
        fmt::format("the filter of `{}` can't be made: {}", plan.policy.name, filter.error()),
        "allow fewer calls, or with fewer different arguments");
    return std::nullopt;
  }
  if (const auto disproof = prover.Prove(calls, *filter)) {
    ReportDisproof(plan, *disproof);
    return std::nullopt;
  }
  return std::move(*filter);
}

void FinishStartup(ComponentPlan& plan, const CallPlan& calls, const Filter& filter) {
  plan.profile.startup = filter;
  plan.Row("syscalls.startup",
           {{Layer::kSeccomp, "not allowed by the filter, which asks the supervisor"},
            {Layer::kSupervisor,
             fmt::format("lets {} calls be made until the component is ready, by a program of {} "
                         "instructions over the registers alone; then none that the filter "
                         "refuses, for all threads and processes at once",
                         calls.rules.size(), filter.size())}},
           Status::kEnforced, Recorder::kNotification, "what passes until ready is not recorded");
}

// The generator is a function of the plan: components whose plans are equal share filter and proof.
class FilterMaker {
 public:
  explicit FilterMaker(FilterGenerator& generator) : generator_(generator) {}

  // Nothing after an error. What it points to lives as long as this.
  const std::pair<const CallPlan, Filter>* Make(const ComponentPlan& plan, const CallPlan& calls) {
    auto found = made_.find(calls);
    if (found == made_.end()) {
      auto filter = MakeFilter(plan, calls, generator_, prover_);
      if (!filter) return nullptr;
      found = made_.emplace(calls, std::move(*filter)).first;
    }
    return &*found;
  }

 private:
  FilterGenerator& generator_;
  Prover prover_;
  std::map<CallPlan, Filter> made_;
};

}  // namespace

void MakeFilters(std::vector<ComponentPlan>& components, FilterGenerator& generator) {
  FilterMaker maker(generator);
  for (ComponentPlan& plan : components) {
    if (!plan.calls) continue;
    const auto* made = maker.Make(plan, *plan.calls);
    const auto* startup = plan.startup ? maker.Make(plan, *plan.startup) : nullptr;
    if (made == nullptr || (plan.startup && startup == nullptr)) continue;
    plan.calls.reset();
    plan.startup.reset();
    Finish(plan, made->first, made->second);
    if (startup != nullptr) FinishStartup(plan, startup->first, startup->second);
  }
}

}  // namespace bulkhead
