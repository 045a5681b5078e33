// SPDX-License-Identifier: Apache-2.0
// The program and its surroundings, its limits, its life.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/planner.h"

namespace bulkhead {
namespace {

constexpr uint32_t kDefaultFiles = 1024;
constexpr uint32_t kDefaultProcesses = 128;

void CgroupRow(ComponentPlan& plan, std::string_view key, Feature feature, std::string text,
               Recorder recorder, std::string note) {
  const std::string statement = "limits." + std::string(key);
  if (!plan.features.Has(feature)) {
    const auto at = plan.policy.limits_at.find(std::string(key));
    plan.Refuse(
        at == plan.policy.limits_at.end() ? plan.policy.at.place : at->second.place, statement,
        "E0550", fmt::format("`{}` has no {}", plan.enclave.target.name, Info(feature).what),
        fmt::format("choices: a target with this cgroup controller (Linux {}), or the limit "
                    "taken out",
                    Info(feature).since));
    return;
  }
  plan.Need(feature, plan.features.Level(feature), statement);
  plan.Row(statement, {{Layer::kCgroup, std::move(text)}}, Status::kEnforced, recorder,
           std::move(note));
}

// The working directory is entered inside the view.
void CheckDirectory(const ComponentPlan& plan) {
  const std::string& directory = plan.policy.directory.value;
  for (const std::string_view own : {"/dev", "/etc", "/proc"}) {
    if (directory == own) return;
  }
  const auto& view = plan.profile.view;
  const bool there = std::any_of(view.begin(), view.end(), [&](const ViewEntry& entry) {
    return Covers(entry.path, directory) || Covers(directory, entry.path);
  });
  if (there) return;
  plan.Error(plan.policy.directory.at.place, "E0557",
             fmt::format("the working directory `{}` is not in the view", directory),
             "name it under `files`, or leave `directory` out: it is `/`");
}

// Nothing of the component's system calls is enforced: never by an oversight.
void PlanObserve(ComponentPlan& plan) {
  const Place place = plan.policy.on_violation_at.place;
  if (!plan.enclave.allow_observe) {
    plan.Error(
        place, "E0580", "`observe` lets refused calls pass",
        "it is for development: compile with `--allow-observe`, or write `refuse` or `kill`");
    return;
  }
  if (!plan.features.Has(Feature::kSeccompNotify) || !plan.features.Has(Feature::kPidfd)) {
    plan.Refuse(place, "on-violation", "E0581",
                fmt::format("`{}` can't observe: it has no seccomp listeners, or no pidfd",
                            plan.enclave.target.name),
                "choose a target with Linux 5.6, or write `refuse` or `kill`");
    return;
  }
  if (!plan.profile.broker.calls.empty()) {
    plan.Error(place, "E0582", "`observe` with addresses that the broker decides",
               "their calls can't be both observed and made on the component's behalf: leave the "
               "addresses out while it is observed");
    return;
  }
  plan.Row("on-violation", {{Layer::kSupervisor, "refused system calls are recorded and let pass"}},
           Status::kWaived, Recorder::kNotification,
           "for development: of `syscalls` only the outer bounds hold (docs/LEARNING.md); files, "
           "ports and limits are enforced as stated");
}

}  // namespace

void PlanExecution(ComponentPlan& plan) {
  ProfileData& profile = plan.profile;
  for (const Text& arg : plan.policy.exec) profile.argv.push_back(arg.value);
  if (profile.argv.empty()) profile.argv.emplace_back();
  profile.pin = plan.policy.pin;
  std::map<std::string, std::string> environment{{"LANG", "C.UTF-8"}, {"PATH", "/usr/bin:/bin"}};
  for (const auto& [name, value] : plan.policy.env) environment[name] = value.value;
  for (const auto& [name, value] : environment) profile.environment.push_back({name, value});
  profile.directory = plan.policy.directory.value;
  profile.umask = plan.policy.umask;
  profile.stdin_from = plan.policy.stdin_from;
  profile.stdout_to = plan.policy.stdout_to;
  profile.stderr_to = plan.policy.stderr_to;
  if (plan.features.Has(Feature::kCloseRange)) plan.Need(Feature::kCloseRange, 1, "exec");
  if (profile.pin) {
    plan.Row("exec",
             {{Layer::kSupervisor,
               "SHA-384 of the program, through the descriptor that is "
               "executed"}},
             Status::kEnforced, Recorder::kLifecycle);
  } else {
    plan.Row("exec", {{Layer::kView, "the program is on a read-only mount"}}, Status::kEnforced,
             Recorder::kLifecycle, "not pinned: rests on the image's own integrity");
  }
}

void PlanLimits(ComponentPlan& plan) {
  Limits limits = plan.policy.limits;
  if (limits.files == 0) limits.files = kDefaultFiles;
  if (limits.processes == 0) limits.processes = kDefaultProcesses;
  plan.profile.limits = limits;
  if (limits.memory != 0) {
    CgroupRow(plan, "memory", Feature::kCgroupMemory, fmt::format("{} bytes", limits.memory),
              Recorder::kCounter, "the kernel's count of kills, read at each end of the component");
  }
  if (plan.features.Has(Feature::kCgroupPids)) {
    CgroupRow(plan, "processes", Feature::kCgroupPids,
              fmt::format("{} processes and threads; RLIMIT_NPROC the same", limits.processes),
              Recorder::kCounter, "the kernel's count of refused forks");
  } else {
    // The uid is the component's alone, so the limit of the uid is the component's.
    plan.Row(
        "limits.processes",
        {{Layer::kRlimit, fmt::format("{} processes and threads of its uid", limits.processes)}},
        Status::kSubstituted, Recorder::kNone,
        "no pids controller in this kernel; the kernel answers EAGAIN by itself");
  }
  if (limits.cpu_percent != 0) {
    CgroupRow(plan, "cpu", Feature::kCgroupCpu, fmt::format("{} % of one CPU", limits.cpu_percent),
              Recorder::kNone, "more is delayed, not refused");
  }
  if (limits.cpu_yields) {
    CgroupRow(plan, "cpu-yields", Feature::kCgroupCpu,
              "the least weight; from Linux 5.15 on idle, which gives way at once", Recorder::kNone,
              "it is delayed, not refused");
  }
  plan.Row("limits.files", {{Layer::kRlimit, fmt::format("{} descriptors", limits.files)}},
           Status::kEnforced, Recorder::kNone, "the kernel answers EMFILE by itself");
  if (limits.file_size != 0) {
    plan.Row("limits.file-size", {{Layer::kRlimit, fmt::format("{} bytes", limits.file_size)}},
             Status::kEnforced, Recorder::kLifecycle, "SIGXFSZ ends the process");
  }
}

// What one run for all would do, and what a run for each connection can't.
void RefuseForInstances(ComponentPlan& plan) {
  const ComponentPolicy& policy = plan.policy;
  const auto refuse = [&](const Place& place, std::string_view what, std::string_view help) {
    plan.Error(place, "E0559", fmt::format("an instance {}", what), std::string(help));
  };
  const NetworkPolicy& network = policy.network;
  if (plan.profile.listeners.empty()) {
    refuse(policy.instances_at.place, "needs a listener that the supervisor opens",
           "write `network.unix.listen` with a `name`, `network.tcp.listen` or "
           "`network.vsock.listen`");
  }
  for (const UnixListen& listen : network.unix_listen) {
    if (listen.by_component) {
      refuse(listen.at.place, "makes no socket of its own", "leave out `by: component`");
    } else if (listen.nonblocking) {
      refuse(listen.at.place, "gets no listener to wait on", "leave out `nonblocking`");
    }
  }
  for (const TcpListen& listen : network.tcp_listen) {
    if (listen.nonblocking) {
      refuse(listen.at.place, "gets no listener to wait on", "leave out `nonblocking`");
    }
  }
  for (const VsockListen& listen : network.vsock_listen) {
    if (listen.nonblocking) {
      refuse(listen.at.place, "gets no listener to wait on", "leave out `nonblocking`");
    }
  }
  for (const TcpPort& port : network.udp_bind) {
    refuse(port.at.place, "has no port of its own, which the next one would find taken",
           "leave it out");
  }
  for (const TcpPort& port : network.tcp_bind) {
    refuse(port.at.place, "has no port of its own, which the next one would find taken",
           "write `network.tcp.listen`");
  }
  for (const ChannelPolicy& channel : plan.enclave.policy.channels) {
    // A connection is each run's own.
    if (channel.kind == ChannelKind::kConnected) continue;
    if (channel.from.value == policy.name || channel.to.value == policy.name) {
      refuse(
          channel.at.place, "has no channel, whose end all of them would share",
          "its clients connect to its listener: write `network.unix.listen`, or `kind: connected`");
    }
  }
  if (policy.lifecycle.ready.kind != ReadyKind::kStarted) {
    refuse(policy.instances_at.place,
           "is for a connection, and the component is ready before it has one",
           "write `ready: started`, over what a profile says");
  }
  if (policy.lifecycle.critical) {
    refuse(policy.instances_at.place,
           "that ends is not missed, so its component can't be `critical`",
           "write `critical: false`, over what a profile says");
  }
}

// Files that are the enclave's outlive the instance that writes them.
Status SharedFiles(ComponentPlan& plan) {
  const auto rule = std::ranges::find_if(
      plan.policy.files, [](const FileRule& file) { return WritesFiles(file.verb); });
  if (rule == plan.policy.files.end()) return Status::kEnforced;
  if (plan.enclave.waivers.Use(plan.policy.name, "instances") != nullptr) return Status::kWaived;
  plan.Refuse(rule->at.place, "instances", "E0560",
              fmt::format("`{}` would carry what one instance leaves to the next", rule->path),
              "choices: `private` or `runtime`, which each instance has anew; another component "
              "that keeps the state; or a waiver of `instances`");
  return Status::kWaived;
}

// Who may write the directory that a tmpfs stands in can put another in its place, and instances
// would meet where each was to be alone.
void RefuseTmpfsInSharedFiles(const ComponentPlan& plan) {
  for (const FileRule& own : plan.policy.files) {
    if (IsPersistent(own.verb)) continue;
    for (const FileRule& shared : plan.policy.files) {
      if (!WritesFiles(shared.verb) || !Covers(shared.path, own.path)) continue;
      plan.Error(own.at.place, "E0565",
                 fmt::format("`{}` would not be each instance's own: it is beneath `{}`, which all "
                             "of them may write",
                             own.path, shared.path),
                 "name a directory outside it");
    }
  }
}

void PlanInstances(ComponentPlan& plan) {
  const Instances& instances = plan.policy.instances;
  RefuseForInstances(plan);
  const Status status = SharedFiles(plan);
  RefuseTmpfsInSharedFiles(plan);
  plan.profile.instances = instances;
  plan.Row(
      "instances",
      {{Layer::kSupervisor,
        fmt::format("accepts, and starts a run for each connection: at most {} at a time, each "
                    "for at most {} s",
                    instances.at_most, instances.lifetime_ms / 1000)},
       {Layer::kNamespace, "namespaces, /proc, IPC and keyring of its own for each"},
       {Layer::kView, "a view with tmpfs of its own for each"}},
      status, Recorder::kLifecycle,
      status == Status::kWaived ? "files that it may write are the same for all" : "");
}

void PlanLifecycle(ComponentPlan& plan) {
  Lifecycle lifecycle = plan.policy.lifecycle;
  lifecycle.after.clear();
  for (const Text& name : plan.policy.after) lifecycle.after.push_back(name.value);
  std::sort(lifecycle.after.begin(), lifecycle.after.end());
  lifecycle.after.erase(std::unique(lifecycle.after.begin(), lifecycle.after.end()),
                        lifecycle.after.end());
  if (lifecycle.ready.kind == ReadyKind::kListening) {
    const auto& listens = plan.policy.network.unix_listen;
    // With several, the first by name.
    for (const UnixListen& listen : listens) {
      std::string& path = lifecycle.ready.path;
      if (listen.by_component && (path.empty() || listen.path < path)) path = listen.path;
    }
    if (lifecycle.ready.path.empty()) {
      plan.Error(plan.policy.ready_at.place, "E0551",
                 "`listening` needs a unix socket that the component makes itself",
                 "a listener that the supervisor opens listens at once, and a TCP port of the "
                 "component's own can't be watched: use `started` or `notify`");
    }
  }
  if (plan.policy.instances.at_most != 0) {
    PlanInstances(plan);
    lifecycle.restart = RestartWhen::kNever;  // the next connection starts another
  }
  if (lifecycle.watchdog_ms != 0 && lifecycle.ready.kind != ReadyKind::kNotify) {
    plan.Error(plan.policy.watchdog_at.place, "E0561", "`watchdog` needs `ready: notify`",
               "it hears the component over the same socket");
  }
  plan.profile.lifecycle = lifecycle;
  CheckDirectory(plan);
  plan.profile.on_violation = plan.policy.on_violation;
  if (plan.policy.on_violation == OnViolation::kObserve) PlanObserve(plan);
  if (plan.policy.on_violation == OnViolation::kKill &&
      !plan.features.Has(Feature::kSeccompNotify)) {
    plan.Row("on-violation", {{Layer::kSeccomp, "the kernel kills the process that made the call"}},
             Status::kSubstituted, Recorder::kLifecycle,
             "no listeners in this kernel: where that is not the component's first process, the "
             "others go on and nothing is recorded; exec is answered ENOSYS and kills nobody");
  } else if (plan.policy.on_violation == OnViolation::kKill) {
    plan.Row("on-violation",
             {{Layer::kSupervisor,
               "the component is killed, then `restart` "
               "decides"}},
             Status::kEnforced, Recorder::kLifecycle, "for Landlock after the record");
  }
  if (lifecycle.watchdog_ms != 0) {
    plan.Row(
        "watchdog",
        {{Layer::kSupervisor, fmt::format("killed when silent for {} s, then `restart` decides",
                                          lifecycle.watchdog_ms / 1000)}},
        Status::kEnforced, Recorder::kLifecycle);
  }
  plan.Row("restart", {{Layer::kSupervisor, "start order, readiness, restarts, stop"}},
           Status::kEnforced, Recorder::kLifecycle,
           lifecycle.critical ? "critical: the enclave ends if it can't be kept up" : "");
}

}  // namespace bulkhead
