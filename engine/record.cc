// SPDX-License-Identifier: Apache-2.0
// What the supervisor puts on record: refusals that come to its listeners, those the kernel's audit
// tells of, tripwires, limits, and the components' life.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <tuple>
#include <utility>

#include "engine/clock.h"
#include "engine/pid_namespace.h"
#include "engine/supervisor.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

std::string Hex(uint64_t value) {
  std::array<char, 17> text{};
  snprintf(text.data(), text.size(), "%lx", value);
  return text.data();
}

std::string ReadLink(const std::string& path) {
  std::array<char, 4096> text{};
  const ssize_t size = readlink(path.c_str(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : std::string();
}

Event LossEvent(const char* control, const char* action, uint64_t count) {
  Event event;
  event.kind = EventKind::kLoss;
  event.control = control;
  event.action = action;
  event.verdict = "failed";
  event.count = count;
  return event;
}

constexpr uint32_t kLookEach = 100;  // records
constexpr uint32_t kFewLooks = 64;   // threads, a second; the others are for the tick

}  // namespace

Event Supervisor::CallerEvent(const Component& component, const Notification& call) {
  Event event;
  event.boot_ns = NowNs();  // before its caller goes on
  event.component = component.profile->name;
  event.pid = call.pid;
  // The link waits for an exec as OpenMemory does: see HandOver.
  const bool waits = component.listener && component.listener.IsValid(call);
  if (waits) event.exe = ReadLink("/proc/" + std::to_string(call.pid) + "/exe");
  return event;
}

Event Supervisor::RefusalEvent(const Component& component, const Notification& call) {
  Event event = CallerEvent(component, call);
  // Its caller waits for the answer, so that number was its own; or it has been killed.
  if (!component.listener || !component.listener.IsValid(call)) event.exe.clear();
  DescribeRefusal(event, component, call, false);
  return event;
}

void Supervisor::DescribeRefusal(Event& event, const Component& component, const Notification& call,
                                 bool absent) {
  event.kind = absent ? EventKind::kAbsent : EventKind::kViolation;
  event.control = "seccomp";
  const std::string_view name = SyscallName(component.profile->arch, call.data.nr);
  event.action = name.empty() ? "syscall " + std::to_string(call.data.nr) : std::string(name);
  event.verdict = "refused";
  event.error = absent ? "ENOSYS" : "EPERM";
  event.rule = "components." + component.profile->name + ".syscalls";
  // Registers only; pointers are addresses of the component and are not followed.
  std::string registers;
  for (const uint64_t arg : call.data.args) registers += (registers.empty() ? "" : " ") + Hex(arg);
  event.object = registers;
}

bool Supervisor::EndsByViolation(const Component& component) {
  return component.profile->on_violation == OnViolation::kKill && component.reaper > 0;
}

void Supervisor::Violated(Component& component, bool now) {
  ++component.all_violations;
  if (!now) return;
  ++component.violations;
  if (EndsByViolation(component)) {
    Lifecycle(component, "violation", "killed");
    KillAll(component);
  }
}

// Whether it can be in an exec, where reading of it waits for as long as its old memory is taken
// down, which is for it to choose.
bool Supervisor::MayExec(const Component& component) {
  if (component.profile->on_violation == OnViolation::kObserve) return true;
  const Arch arch = component.profile->arch;
  const Filter& filter = WidestFilter(*component.profile);
  return std::ranges::any_of(std::array{"execve", "execveat"}, [&](const char* name) {
    SeccompData data{};
    data.nr = SyscallNumber(arch, name).value();
    data.arch = AuditArch(arch);
    return Evaluate(filter, data).action == kRetAllow;
  });
}

void Supervisor::OnLandlockDenial(const LandlockDenial& denial) {
  // Our children's domains are made by the component's own process before its exec; those of
  // another maker on this machine are not ours to record. A maker that is not known (its record was
  // lost) may be a component, so its refusal is recorded without a name.
  Component* component = FindByIndex(denial.owner);
  if (component == nullptr && denial.pid > 0) return;
  Event event;
  event.pid = denial.pid;
  if (component != nullptr) {
    event.component = component->profile->name;
    // The kernel names the program that made the domain, which is this one before its exec. Of a
    // run that has ended the number may be another process's.
    if (component->pid == denial.pid && !MayExec(*component)) {
      event.exe = ReadLink("/proc/" + std::to_string(denial.pid) + "/exe");
    }
  }
  event.kind = EventKind::kViolation;
  event.control = "landlock";
  event.action = JoinBlockers(denial.access);
  event.object = DescribeObject(denial.access);
  event.verdict = "refused";
  event.error = event.action.starts_with("scope.") || event.action == "ptrace" ? "EPERM" : "EACCES";
  if (component != nullptr) {
    event.rule = "components." + event.component +
                 (event.action.starts_with("net.") ? ".network" : ".files");
  }
  if (component != nullptr) component->last_refused = event.action;
  log_.Append(std::move(event));
  if (component == nullptr) return;
  const bool running = component->pid == denial.pid;
  Violated(*component, running);
  // What instances refuse in a second is their component's together.
  if (running && ++OwnerOf(*component).denials > kDenialBudget) Hold(*component);
  const bool looks =
      OwnerOf(*component).denials % kLookEach == 0 && IsStopOver(*component, NowMs());
  const bool few = component->looks < kFewLooks;
  if (running && looks && few && !component->runs_on) component->runs_on = AnyRuns(*component);
}

// The kernel counts a domain's refusals itself; fewer records than that is a loss, and is said. As
// above, a domain known to be another's is not ours.
void Supervisor::OnLandlockEnd(const LandlockDomainEnd& end) {
  const Component* component = FindByIndex(end.owner);
  if (component == nullptr && end.pid > 0) return;
  if (end.received >= end.denials) return;
  Event event = LossEvent("landlock", "records-lost", end.denials - end.received);
  if (component != nullptr) event.component = component->profile->name;
  event.pid = end.pid;
  event.object = "domain " + Hex(end.domain);
  log_.Append(std::move(event));
}

// A foreign architecture's call: the filter kills, and no notification tells of it. The process is
// told by its pid while it is the component's own or not yet waited for; else by its uid, which all
// instances have. None of them ends for what another one may have done.
void Supervisor::OnSeccompKill(const SeccompKill& kill) {
  if (kill.signal == 0) return;
  const auto has_uid = [&](const Component& component) {
    return component.profile->uid == kill.uid;
  };
  Component* ran = FindByPid(kill.pid);
  bool now = ran != nullptr && ran->pid == kill.pid && has_uid(*ran);
  if (!now) {
    Component* const in = FindByNamespace(PidNamespaceOf(kill.pid));
    now = in != nullptr && has_uid(*in);
    if (now) ran = in;
  }
  if (ran != nullptr && !has_uid(*ran)) ran = nullptr;
  for (auto& component : components_) {
    if (ran != nullptr || !has_uid(*component)) continue;
    ran = component.get();
    now = ran->profile->instances.at_most == 0;
  }
  if (ran == nullptr) return;
  Event event;
  event.component = ran->profile->name;
  event.pid = kill.pid;
  event.kind = EventKind::kViolation;
  event.control = "seccomp";
  event.action = "syscall " + std::to_string(kill.nr);
  event.object = "arch " + Hex(kill.arch);
  event.verdict = "killed";
  event.rule = "components." + event.component + ".syscalls";
  log_.Append(std::move(event));
  Violated(*ran, now);
}

// What the kernel or its socket to us dropped: whose refusals these were nobody knows, so the loss
// is the enclave's. Where the number is not known either, it is of the times that it happened.
void Supervisor::RecordAuditLoss() {
  if (!kernel_audit_) return;
  const KernelAuditCounters now = kernel_audit_->counters();
  const std::tuple<const char*, uint64_t, uint64_t> rows[] = {
      {"socket-full", reported_.overruns, now.overruns},
      {"kernel-backlog-full", reported_.lost, now.lost},
      {"switched-off", reported_.switched_off, now.switched_off},
      {"not-understood", reported_.malformed, now.malformed},
      {"domains-forgotten", reported_.landlock.forgotten, now.landlock.forgotten}};
  for (const auto& [action, before, after] : rows) {
    if (after <= before) continue;
    log_.Append(LossEvent("kernel-audit", action, after - before));
  }
  reported_ = now;
}

// A sink that takes nothing can't say so itself; the enclave goes on, and its console tells: at the
// beginning, when it is twice as much, and at the end.
void Supervisor::ReportSinks() {
  for (const AuditLog::SinkState& sink : log_.Sinks()) {
    ToldSink& told = told_sinks_[sink.name];
    if (sink.behind == 0 && told.behind == 0) {
      told.before = sink;
    } else if (sink.behind == 0) {
      Status("audit sink `" + sink.name +
             "` takes records again: " + std::to_string(sink.missed - told.before.missed) +
             " events come folded, " + std::to_string(sink.lost - told.before.lost) + " are lost");
      told = {0, sink};
    } else if (sink.behind >= 2 * told.behind) {
      Status("audit sink `" + sink.name + "` takes no records (" + ErrnoName(sink.error) +
             "): " + std::to_string(sink.behind) + " events are kept for it, folded");
      told.behind = sink.behind;
    }
  }
}

// What a component wrote and its readers did not take, or had no disk for. It is no record's loss.
// What runs of it left in their pipes beyond what is read at an end.
void Supervisor::RecordUnread(Component& component) {
  component.last_output = 0;
  const uint64_t bytes = std::exchange(component.unread, 0);
  if (bytes == 0) return;
  Event event = LossEvent("supervisor", "output", 1);
  event.component = component.profile->name;
  event.object = std::to_string(bytes) + " bytes unread in pipes of ended runs";
  log_.Append(std::move(event));
}

void Supervisor::RecordLostOutput(const std::vector<OutputLoss>& losses) {
  for (const OutputLoss& loss : losses) {
    Event event = LossEvent("supervisor", "output", loss.lines);
    event.component = loss.component;
    event.object = loss.sink;
    event.error = ErrnoName(loss.error);
    log_.Append(std::move(event));
  }
}

// After the last component: the kernel frees their domains a little later, and only then says how
// many refusals each had. Both waits have an end, since others of this machine are heard here, too.
void Supervisor::FinishAudit() {
  if (!kernel_audit_) return;
  constexpr int kLastDrains = 64;  // of 256 records: more than the socket holds
  for (int i = 0; i < kLastDrains && kernel_audit_->Drain(AuditHandler()); ++i) {
  }
  constexpr int kWaits = 20;  // of 10 ms
  for (int i = 0; i < kWaits && kernel_audit_->HasOpenDomains(); ++i) {
    pollfd ready{kernel_audit_->fd(), POLLIN, 0};
    poll(&ready, 1, 10);
    kernel_audit_->Drain(AuditHandler());
  }
  kernel_audit_->Flush(AuditHandler());
  RecordAuditLoss();
}

LandlockHandler Supervisor::AuditHandler() {
  return {.denial = [this](const LandlockDenial& denial) { OnLandlockDenial(denial); },
          .end = [this](const LandlockDomainEnd& end) { OnLandlockEnd(end); },
          .killed = [this](const SeccompKill& kill) { OnSeccompKill(kill); },
          .owner =
              [this](int32_t pid, uint32_t uid) {
                // The number may have been another's run, and be anybody's on this machine now.
                const Component* component = FindByPid(pid);
                const bool ours = component != nullptr && component->profile->uid == uid;
                return ours ? static_cast<int32_t>(IndexOf(*component)) : kNobody;
              },
          .quiet =
              [this](int32_t owner) {
                const Component* component = FindByIndex(owner);
                return component == nullptr ? 0 : component->witness_refusals;
              }};
}

void Supervisor::OnAuditRecords() {
  if (kernel_audit_) kernel_audit_->Drain(AuditHandler());
}

void Supervisor::OnTripwires() {
  // A bounded turn: whoever keeps opening one must not keep the loop from the others.
  for (int turn = 0; turn < 64; ++turn) {
    const auto access = tripwires_->Next();
    if (!access) return;
    Component* const in = FindByNamespace(access->pid_namespace);
    Component* of = nullptr;
    for (auto& component : components_) {
      // Instances have copies of one view.
      const bool own = in == nullptr || in == component.get();
      if (of == nullptr && own && component->root_device == access->device) of = component.get();
    }
    // In another one's view: by a directory that was handed over.
    if (of == nullptr) of = in;
    if (of == nullptr) continue;
    Event event;
    event.component = of->profile->name;
    event.pid = access->pid;
    if (!MayExec(*of)) event.exe = ReadLink("/proc/" + std::to_string(access->pid) + "/exe");
    event.kind = EventKind::kViolation;
    event.control = "tripwire";
    event.action = "open";
    event.object = access->path;
    event.verdict = "refused";
    event.error = "EPERM";
    event.rule = "components." + event.component + ".files";
    log_.Append(std::move(event));
    Violated(*of, in != nullptr || of->instance == 0);
  }
}

// What the kernel counted against the component's limits in this run.
void Supervisor::RecordLimits(Component& component) {
  if (!component.cgroup) return;
  const CgroupCounters before = component.counted;
  component.counted = component.cgroup->Counters();
  const uint64_t killed = component.counted.oom_kills - before.oom_kills;
  const bool own = component.counted.memory_hits != before.memory_hits;
  if (killed != 0 && !own) {
    // It took no more than it may; who did is not known here.
    Lifecycle(component, "memory", "killed",
              "what is around it had no memory left; its own limit was not reached");
  }
  const std::pair<const char*, uint64_t> rows[] = {
      {"memory", own ? killed : 0},
      {"processes", component.counted.refused_forks - before.refused_forks}};
  for (const auto& [limit, count] : rows) {
    if (count == 0) continue;
    Event event;
    event.component = component.profile->name;
    event.pid = component.pid > 0 ? component.pid : 0;
    event.kind = EventKind::kViolation;
    event.control = "cgroup";
    event.action = limit;
    event.verdict = std::string_view(limit) == "memory" ? "killed" : "refused";
    event.rule = "components." + component.profile->name + ".limits." + limit;
    event.count = count;
    log_.Append(std::move(event));
  }
}

// What this target enforces otherwise than a newer one would, or not at all, as the compiler wrote
// it: whoever reads the log alone sees what its refusals rest on.
void Supervisor::RecordLedger() {
  for (const LedgerRow& row : bundle_->ledger) {
    if (row.status == Status::kEnforced) continue;
    Event event;
    event.kind = EventKind::kLedger;
    event.control = "supervisor";
    event.component = row.component;
    event.rule = row.statement;
    event.action = StatusName(row.status);
    event.verdict = "done";
    for (const Control& control : row.controls) {
      event.object += (event.object.empty() ? "" : "; ") + control.text;
    }
    event.extra.resize(1);
    event.extra[0].name = "note";
    event.extra[0].value = row.note;
    log_.Append(std::move(event));
  }
}

void Supervisor::Lifecycle(const Component& component, const std::string& action,
                           const std::string& verdict, const std::string& detail,
                           std::vector<EventField> extra) {
  Event event;
  event.extra = std::move(extra);
  event.component = component.profile->name;
  event.pid = component.pid > 0 ? component.pid : 0;
  event.kind = EventKind::kLifecycle;
  event.control = "supervisor";
  event.object = std::string(UnitStateName(component.unit.state()));
  event.verdict = verdict;
  event.rule = "components." + component.profile->name;
  if (!detail.empty()) event.extra.push_back({"detail", detail});
  Status("`" + NameOf(component) + "` " + action + (detail.empty() ? "" : ": " + detail));
  event.action = action;
  log_.Append(std::move(event));
}

}  // namespace bulkhead
