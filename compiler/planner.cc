// SPDX-License-Identifier: Apache-2.0
#include "compiler/planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/identity.h"
#include "profiles/landlock.h"

namespace bulkhead {

namespace {

std::string IdOf(const WaiverPolicy& waiver) {
  return waiver.component.empty() ? waiver.statement
                                  : "components." + waiver.component + "." + waiver.statement;
}

bool IsPartOf(const std::string& statement, const std::string& id) {
  return statement == id || statement.starts_with(id + ".");
}

// Whether the ledger has the statement that is waived, or a part of it.
bool HasStatement(const std::vector<LedgerRow>& ledger, const WaiverPolicy& waiver) {
  // Abstract unix sockets have no row of their own.
  const bool abstract = waiver.statement == "network.unix";
  const std::string id = IdOf(waiver);
  const std::string network = "components." + waiver.component + ".network";
  return std::ranges::any_of(ledger, [&](const LedgerRow& row) {
    return IsPartOf(row.statement, id) || (abstract && row.statement == network);
  });
}

// A statement that is refused has no row, nor have its parts.
bool IsRefused(const Diagnostics& diagnostics, const WaiverPolicy& waiver) {
  const std::string id = IdOf(waiver);
  return std::ranges::any_of(diagnostics.Sorted(), [&](const Diagnostic& diagnostic) {
    return !diagnostic.statement.empty() && IsPartOf(id, diagnostic.statement);
  });
}

}  // namespace

const WaiverPolicy* WaiverBook::Use(std::string_view component, std::string_view statement) {
  for (const WaiverPolicy& waiver : policy_.waivers) {
    if (waiver.component == component && waiver.statement == statement) {
      used_.insert(&waiver);
      return &waiver;
    }
  }
  return nullptr;
}

void WaiverBook::Finish(const std::vector<LedgerRow>& ledger, std::string_view target,
                        Diagnostics& diagnostics) const {
  for (const WaiverPolicy& waiver : policy_.waivers) {
    if (!date_.empty() && waiver.until < date_) {
      diagnostics.Error(waiver.at.place, "E0520",
                        fmt::format("this waiver ended on {}", waiver.until),
                        "mend what it waives, or decide anew and set a later `until`");
    }
    if (used_.contains(&waiver)) continue;
    if (HasStatement(ledger, waiver)) {
      // What it waives may not have been judged yet.
      if (diagnostics.HasErrors()) continue;
      // A policy is compiled for several targets; the weaker ones need it.
      diagnostics.Note(waiver.at.place, "E0521",
                       fmt::format("`{}` enforces `{}`: this waiver changes nothing there", target,
                                   waiver.statement));
    } else if (!IsRefused(diagnostics, waiver)) {
      diagnostics.Error(waiver.at.place, "E0521",
                        fmt::format("there is no statement `{}` to waive", waiver.statement),
                        "statements are the rows of the ledger that `compile` prints");
    }
  }
}

void ComponentPlan::Row(std::string_view statement, std::vector<Control> controls, Status status,
                        Recorder recorder, std::string note) {
  enclave.ledger.push_back(
      {policy.name, Id(statement), std::move(controls), status, recorder, std::move(note)});
}

namespace {

std::string WhereToGet(Feature feature) {
  const FeatureInfo& info = Info(feature);
  if (info.config.empty()) {
    return fmt::format("it is in Linux since {}: choose a target that has it", info.since);
  }
  std::string symbols(info.config);
  for (size_t at = 0; (at = symbols.find(' ', at)) != std::string::npos;) {
    symbols.replace(at, 1, "=y, CONFIG_");
  }
  return fmt::format(
      "a kernel from Linux {} on has it when it is built with CONFIG_{}=y: choose a "
      "target that has it",
      info.since, symbols);
}

}  // namespace

void ComponentPlan::Need(Feature feature, uint32_t level, std::string_view statement) {
  if (features.Level(feature) < level) {
    Refuse(policy.at.place, statement, "E0535",
           fmt::format("`{}` has no {}, which `{}` needs", enclave.target.name, Info(feature).what,
                       Id(statement)),
           WhereToGet(feature));
  }
  enclave.requirements.push_back({feature, level, policy.name, Id(statement)});
}

void PlanIdentity(ComponentPlan& plan) {
  ProfileData& profile = plan.profile;
  profile.name = plan.policy.name;
  profile.arch = plan.enclave.target.arch;
  const uint32_t derived = ComponentId(plan.enclave.policy.enclave, profile.name);
  profile.uid = profile.gid = plan.policy.user.value_or(derived);
  if (profile.uid == 0 && plan.enclave.waivers.Use(profile.name, "user") == nullptr) {
    plan.Error(plan.policy.user_at.place, "E0522", "uid 0 needs a waiver",
               "use `user: auto`, or add a waiver of `user` with a reason and a date");
  }
  const std::pair<Feature, const char*> kNamespaces[] = {{Feature::kMountNamespace, "files"},
                                                         {Feature::kPidNamespace, "user"},
                                                         {Feature::kIpcNamespace, "user"},
                                                         {Feature::kUtsNamespace, "user"}};
  for (const auto& [feature, statement] : kNamespaces) plan.Need(feature, 1, statement);
  std::vector<Control> controls{
      {Layer::kOwnership, "a uid and gid of its own"},
      {Layer::kCapability, "all capability sets empty, securebits locked, no_new_privs"},
      {Layer::kNamespace, "PID, IPC, UTS and mount namespaces of its own"}};
  const bool scoped = plan.LandlockAbi() >= static_cast<uint32_t>(landlock::kScopeAbi);
  if (scoped) controls.push_back({Layer::kLandlock, "signals stay inside its domain"});
  const bool waived = profile.uid == 0;
  plan.Row("user", std::move(controls),
           waived   ? Status::kWaived
           : scoped ? Status::kEnforced
                    : Status::kSubstituted,
           Recorder::kNone,
           std::string(waived ? "uid 0 by waiver, without capabilities; " : "") +
               (scoped ? "" : "no signal scope in this kernel: the PID namespace and the uid; ") +
               "other components' processes do not exist in its namespace (ESRCH, not recorded); "
               "calls outside the profile are recorded under `syscalls`");
}

}  // namespace bulkhead
