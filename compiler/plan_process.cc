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
  plan.Row("limits.files", {{Layer::kRlimit, fmt::format("{} descriptors", limits.files)}},
           Status::kEnforced, Recorder::kNone, "the kernel answers EMFILE by itself");
  if (limits.file_size != 0) {
    plan.Row("limits.file-size", {{Layer::kRlimit, fmt::format("{} bytes", limits.file_size)}},
             Status::kEnforced, Recorder::kLifecycle, "SIGXFSZ ends the process");
  }
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
  plan.profile.lifecycle = lifecycle;
  CheckDirectory(plan);
  plan.profile.on_violation = plan.policy.on_violation;
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
  plan.Row("restart", {{Layer::kSupervisor, "start order, readiness, restarts, stop"}},
           Status::kEnforced, Recorder::kLifecycle,
           lifecycle.critical ? "critical: the enclave ends if it can't be kept up" : "");
}

}  // namespace bulkhead
