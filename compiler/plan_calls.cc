// SPDX-License-Identifier: Apache-2.0
// The system calls: what the policy allows, what other statements own, what is always there and
// what is always closed.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/planner.h"
#include "compiler/resolve_calls.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr uint32_t kEnosys = 38;
constexpr uint32_t kEperm = 1;

// Honest programs and libraries probe for these and go on without them: refused with ENOSYS,
// counted apart, never a violation. Only where the profile does not allow them.
constexpr std::string_view kAbsent[] = {"cachestat",
                                        "clone3",
                                        "close_range",
                                        "epoll_pwait2",
                                        "faccessat2",
                                        "fchmodat2",
                                        "futex_requeue",
                                        "futex_wait",
                                        "futex_waitv",
                                        "futex_wake",
                                        "io_uring_enter",
                                        "io_uring_register",
                                        "io_uring_setup",
                                        "landlock_add_rule",
                                        "landlock_create_ruleset",
                                        "landlock_restrict_self",
                                        "listmount",
                                        "map_shadow_stack",
                                        "mseal",
                                        "openat2",
                                        "pidfd_open",
                                        "pidfd_send_signal",
                                        "process_mrelease",
                                        "rseq",
                                        "statmount",
                                        "statx"};

// Masks and values that no statement may open, whatever the policy allows.
std::vector<ClosedCall> AlwaysClosed() {
  // CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
  constexpr uint64_t kNewNamespaces = 0x7e020080;
  Condition namespaces = MaskedEqual(0, 64, kNewNamespaces, 0);
  namespaces.negated = true;
  constexpr uint64_t kFastOpen = 0x20000000;  // MSG_FASTOPEN: connects without connect(2)
  std::vector<ClosedCall> closed{
      {"clone", {namespaces}},
      {"sendto", {MaskedEqual(3, 32, kFastOpen, kFastOpen)}},
      {"sendmsg", {MaskedEqual(2, 32, kFastOpen, kFastOpen)}},
      {"sendmmsg", {MaskedEqual(3, 32, kFastOpen, kFastOpen)}},
      {"prctl", {Equal(0, 32, 1)}},  // PR_SET_PDEATHSIG
      // PR_SET_SECCOMP: see `seccomp` among the ForbiddenCalls.
      {"prctl", {Equal(0, 32, 22)}},
      // RENAME_WHITEOUT: a device node, about which Landlock is not asked.
      {"renameat2", {MaskedEqual(4, 32, 4, 4)}},
      // SOL_TCP, TCP_ULP: "smc" makes a TCP socket one of AF_SMC.
      {"setsockopt", {Equal(1, 32, 6), Equal(2, 32, 31)}}};
  // TIOCSTI, TIOCLINUX, and the attestation devices: NSM, TDX report.
  for (const uint64_t request : {0x5412ULL, 0x541cULL, 0xc0200a00ULL, 0xc4405401ULL}) {
    closed.push_back({"ioctl", {Equal(1, 32, request)}});
  }
  return closed;
}

void CloseAll(Arch arch, const std::vector<ClosedCall>& calls, std::vector<CallRule>& rules) {
  for (const ClosedCall& closed : calls) {
    const auto nr = SyscallNumber(arch, closed.name);
    const auto rule = std::find_if(rules.begin(), rules.end(),
                                   [&](const CallRule& item) { return nr && item.nr == *nr; });
    if (rule != rules.end()) rule->deny.push_back(closed.when);
  }
}

// What the policy denies in any form comes to no broker.
void LeaveDeniedToTheFilter(ComponentPlan& plan, const std::vector<CallRule>& rules) {
  std::erase_if(plan.profile.broker.calls, [&](uint32_t nr) {
    const auto rule = std::ranges::find(rules, nr, &CallRule::nr);
    return rule != rules.end() && !rule->deny.empty();
  });
}

void RefuseForbidden(ComponentPlan& plan, std::vector<CallRule>& rules) {
  for (const uint32_t nr : ForbiddenCalls(plan.enclave.target.arch)) {
    const auto rule = std::find_if(rules.begin(), rules.end(),
                                   [&](const CallRule& item) { return item.nr == nr; });
    if (rule == rules.end()) continue;
    const std::string name(SyscallName(plan.enclave.target.arch, nr));
    Place place = plan.policy.at.place;
    for (const auto* list : {&plan.policy.startup, &plan.policy.allow}) {
      for (const SyscallRule& allowed : *list) {
        if (allowed.name == name) place = allowed.at.place;
      }
    }
    plan.Error(place, "E0540", fmt::format("`{}` can't be allowed", name),
               "it defeats confinement as a whole; no component of bulkhead may make this call");
    rules.erase(rule);
  }
}

// Denied whatever the arguments, these would only keep the component from starting.
void RefuseDeniedLaunch(ComponentPlan& plan, const std::vector<CallRule>& rules) {
  for (const std::string_view name : kAlwaysAllowed) {
    const auto nr = SyscallNumber(plan.enclave.target.arch, name);
    if (!nr || std::ranges::find(rules, *nr, &CallRule::nr) != rules.end()) continue;
    Place place = plan.policy.at.place;
    for (const SyscallRule& denied : plan.policy.deny) {
      if (denied.name == name) place = denied.at.place;
    }
    plan.Error(place, "E0546", fmt::format("`{}` can't be denied", name),
               "the launch makes this call after the filter is in place; it reaches nothing that "
               "the component does not hold");
  }
}

// A program in anonymous memory is on no mount and under no Landlock rule: where execve is allowed
// it would run, so the two are never allowed together.
void RefuseMemoryPrograms(const ComponentPlan& plan, const std::vector<CallRule>& rules) {
  const Arch arch = plan.enclave.target.arch;
  const auto allowed = [&](std::string_view name) {
    const auto nr = SyscallNumber(arch, name);
    return std::any_of(rules.begin(), rules.end(),
                       [&](const CallRule& rule) { return nr && rule.nr == *nr; });
  };
  if (!allowed("execve") || !allowed("memfd_create")) return;
  Place place = plan.policy.at.place;
  for (const auto* list : {&plan.policy.startup, &plan.policy.allow}) {
    for (const SyscallRule& rule : *list) {
      if (rule.name == "memfd_create") place = rule.at.place;
    }
  }
  plan.Error(place, "E0543",
             "`memfd_create` can't be allowed to a component that executes other programs",
             "a program in such memory would run whatever `files.execute` says: use a file under "
             "`private`, or leave the other programs out of `files.execute`");
}

// What it changes stays: closing it later closes nothing. Others of this kind are owned by keys.
constexpr std::string_view kLasting = "personality";

void RefuseStartup(const ComponentPlan& plan, const std::vector<CallRule>& rules,
                   const std::vector<CallRule>& widest) {
  if (plan.policy.startup.empty()) return;
  const Arch arch = plan.enclave.target.arch;
  const Place place = plan.policy.startup.front().at.place;
  if (plan.policy.lifecycle.ready.kind == ReadyKind::kStarted) {
    plan.Refuse(place, "syscalls.startup", "E0548",
                fmt::format("`startup` of `{}` would never end or never begin", plan.policy.name),
                "a component that is ready as soon as it is started has no startup: say by what "
                "it is ready, `ready: notify` or another");
  }
  if (!plan.features.Has(Feature::kSeccompNotify)) {
    plan.Refuse(place, "syscalls.startup", "E0548",
                fmt::format("`{}` has no seccomp listeners", plan.enclave.target.name),
                "a filter can't be taken back, so the supervisor must be asked: choose a target "
                "with `seccomp-notify` (Linux 5.0), or allow the calls for good");
  }
  const auto find = [](const std::vector<CallRule>& in, uint32_t nr) -> const CallRule* {
    const auto found = std::ranges::find(in, nr, &CallRule::nr);
    return found == in.end() ? nullptr : &*found;
  };
  const uint32_t lasting = SyscallNumber(arch, kLasting).value();
  const CallRule* early = find(widest, lasting);
  const CallRule* always = find(rules, lasting);
  if (early != nullptr && (always == nullptr || *always != *early)) {
    plan.Refuse(place, "syscalls.startup", "E0548",
                fmt::format("`{}` can't be allowed until ready only", kLasting),
                "what it changes stays, so that closing it later closes nothing");
  }
  if (rules == widest) {
    plan.Refuse(place, "syscalls.startup", "E0548",
                fmt::format("`startup` of `{}` adds nothing", plan.policy.name),
                "every call of it is allowed for good, or denied: leave it out");
  }
}

// Programs beyond its own may be executed only where the policy lists them.
bool ExecutesOthers(const ComponentPlan& plan) {
  const auto& sets = plan.enclave.loaded.target.path_sets;
  const auto loader = sets.find("loader");
  return std::any_of(plan.files.begin(), plan.files.end(), [&](const auto& item) {
    if (item.second.verb != Verb::kExecute || item.first == plan.profile.argv[0]) return false;
    const std::string& path = item.first;
    const bool is_loader =
        loader != sets.end() &&
        std::find(loader->second.begin(), loader->second.end(), path) != loader->second.end();
    // A shared object is mapped, not executed.
    const bool is_library = path.ends_with(".so") || path.find(".so.") != std::string::npos;
    return !is_loader && !is_library;
  });
}

bool Allowed(const CallPlan& calls, uint32_t nr) {
  return std::any_of(calls.rules.begin(), calls.rules.end(),
                     [&](const CallRule& rule) { return rule.nr == nr; });
}

// Without a listener the filter answers by itself, and the launch's own exec passes by a tracer.
// False after an error.
bool PlanRefusals(ComponentPlan& plan, CallPlan& calls) {
  if (plan.features.Has(Feature::kSeccompNotify)) return true;
  const bool kill = plan.policy.on_violation == OnViolation::kKill;
  calls.otherwise = kill ? kRetKillProcess : kRetErrno | kEperm;
  calls.absent_action = kRetErrno | kEnosys;
  const uint32_t exec = SyscallNumber(calls.arch, plan.profile.pin ? "execveat" : "execve").value();
  if (Allowed(calls, exec)) return true;
  if (plan.features.Has(Feature::kSeccompTrace)) {
    calls.traced = exec;
    return true;
  }
  plan.Refuse(plan.policy.at.place, "syscalls", "E0541",
              fmt::format("`{}` has neither seccomp listeners nor tracers of filtered calls",
                          plan.enclave.target.name),
              "the launch's own exec passes the filter by one of them: choose a target with "
              "`seccomp-notify` (Linux 5.0) or `seccomp-trace` (Linux 4.8)");
  return false;
}

// No mistake: a program without a library can do all its work by what other statements bring. But
// it is what a policy comes to whose writer took a program's profile for all that it needs.
void WarnOfNoCalls(const ComponentPlan& plan) {
  const ComponentPolicy& policy = plan.policy;
  const bool none = policy.allow.empty() && policy.startup.empty();
  if (!none || policy.on_violation == OnViolation::kObserve) return;
  plan.enclave.diagnostics.Warning(
      policy.at.place, "E0563",
      fmt::format("`{}` is given no system calls: hardly any program runs", policy.name),
      "name an archetype in `profile`, beside what its program reads: `batch`, `gateway`, "
      "`stateful-service` or `untrusted-code`; or allow calls in `syscalls`");
}

// As above: read(2) is enough for sockets, but C libraries and interpreters call neither it nor
// write(2) on them.
void WarnOfMuteSockets(const ComponentPlan& plan, const CallPlan& calls) {
  const ComponentPolicy& policy = plan.policy;
  const NetworkPolicy& network = policy.network;
  const bool none = network.unix_listen.empty() && network.unix_connect.empty() &&
                    network.tcp_listen.empty() && network.tcp_connect.empty() &&
                    network.tcp_connect_to.empty() && network.udp_connect.empty() &&
                    network.vsock_listen.empty() && network.vsock_connect.empty();
  // Who lists calls one by one may mean it: what is learnt has read(2) where that is what it saw.
  const bool listed = std::ranges::any_of(
      policy.allow, [](const SyscallRule& rule) { return !rule.name.starts_with('@'); });
  if (none || listed || policy.allow.empty() || policy.on_violation == OnViolation::kObserve)
    return;
  const CallPlan& all = plan.startup ? *plan.startup : calls;
  for (const std::string_view name : {"recvfrom", "recvmsg", "recvmmsg"}) {
    const auto nr = SyscallNumber(calls.arch, name);
    if (nr && Allowed(all, *nr)) return;
  }
  plan.enclave.diagnostics.Warning(
      policy.at.place, "E0564",
      fmt::format("`{}` has sockets (`network`) and neither recvfrom nor recvmsg: most programs "
                  "can't read from them",
                  policy.name),
      "allow `@socket-io` in `syscalls`, or name an archetype in `profile` that has it, as "
      "`stateful-service` does");
}

}  // namespace

void PlanCalls(ComponentPlan& plan) {
  const Arch arch = plan.enclave.target.arch;
  Diagnostics& diagnostics = plan.enclave.diagnostics;
  WarnOfNoCalls(plan);
  const size_t errors = diagnostics.ErrorCount();
  std::vector<CallRule> rules =
      ResolveCalls(plan.enclave.policy, plan.policy.allow, plan.policy.deny, arch, diagnostics);
  LeaveDeniedToTheFilter(plan, rules);
  for (const std::string_view name : kAlwaysAllowed) {
    if (SyscallNumber(arch, name)) rules.push_back(MakeRule(arch, name, {{}}));
  }
  for (const CallRule& rule : plan.owned_calls) {
    if (!rule.allow.empty()) rules.push_back(rule);
  }
  if (ExecutesOthers(plan)) rules.push_back(MakeRule(arch, "execve", {{}}));
  std::vector<CallRule> widest =
      ResolveCalls(plan.enclave.policy, plan.policy.startup, {}, arch, diagnostics);
  std::ranges::copy(rules, std::back_inserter(widest));
  rules = MergeRules(std::move(rules));
  widest = MergeRules(std::move(widest));
  RefuseForbidden(plan, widest);
  RefuseDeniedLaunch(plan, widest);
  RefuseMemoryPrograms(plan, widest);
  if (diagnostics.ErrorCount() == errors) RefuseStartup(plan, rules, widest);
  for (auto* list : {&rules, &widest}) {
    CloseAll(arch, AlwaysClosed(), *list);
    CloseAll(arch, plan.closed, *list);
  }
  if (diagnostics.ErrorCount() != errors) return;

  CallPlan calls;
  calls.arch = arch;
  calls.rules = std::move(rules);
  for (const std::string_view name : kAbsent) {
    const auto nr = SyscallNumber(arch, name);
    if (nr && !Allowed(calls, *nr)) calls.absent.push_back(*nr);
  }
  std::sort(calls.absent.begin(), calls.absent.end());
  for (const std::string_view name : plan.skipped) {
    const uint32_t nr = SyscallNumber(arch, name).value();
    if (!Allowed(calls, nr)) calls.skipped.push_back(nr);
  }
  std::sort(calls.skipped.begin(), calls.skipped.end());
  if (!PlanRefusals(plan, calls)) return;
  if (!plan.policy.startup.empty()) {
    plan.startup = calls;
    plan.startup->rules = std::move(widest);
    const auto is_allowed = [&](uint32_t nr) { return Allowed(*plan.startup, nr); };
    std::erase_if(plan.startup->absent, is_allowed);
    std::erase_if(plan.startup->skipped, is_allowed);
  }
  WarnOfMuteSockets(plan, calls);
  plan.calls = std::move(calls);
}

}  // namespace bulkhead
