// SPDX-License-Identifier: Apache-2.0
#include "sandbox/launch.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "sandbox/capabilities.h"
#include "sandbox/reaper.h"

namespace bulkhead {
namespace {

void Close(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

struct Sockets {
  int control[2] = {-1, -1};    // supervisor, reaper
  int handshake[2] = {-1, -1};  // supervisor, component
  int installed[2] = {-1, -1};  // read, write

  // 0, or an errno.
  int Open(Kernel& kernel) {
    constexpr int kKind = SOCK_SEQPACKET | SOCK_CLOEXEC;
    const int enable = 1;
    long result = kernel(SYS_socketpair, AF_UNIX, kKind, 0, control);
    if (result >= 0) result = kernel(SYS_socketpair, AF_UNIX, kKind, 0, handshake);
    if (result >= 0) result = kernel(SYS_pipe2, installed, O_CLOEXEC);
    if (result >= 0) {
      result =
          kernel(SYS_setsockopt, handshake[0], SOL_SOCKET, SO_PASSCRED, &enable, sizeof enable);
    }
    return result < 0 ? static_cast<int>(-result) : 0;
  }
  void CloseAll() {
    for (int* pair : {control, handshake, installed}) {
      Close(pair[0]);
      Close(pair[1]);
    }
  }
};

unsigned long CloneFlags(const LaunchPlan& plan) {
  unsigned long flags = SIGCHLD | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  // Else it enters a copy of the prepared one.
  if (plan.view_namespace < 0) flags |= CLONE_NEWNS;
  const bool own_network = plan.profile->network == Network::kNone;
  if (own_network && plan.network_namespace < 0) flags |= CLONE_NEWNET;
  return flags;
}

}  // namespace

uint64_t ProcessLimit(const ProfileData& profile) {
  const uint64_t workers = profile.notifies ? kMaxWorkers : 0;
  const uint64_t runs = std::max(profile.instances.at_most, 1U);
  return (profile.limits.processes + workers) * runs;
}

// What PlanWitness derives it from, beside the profile and this process.
bool LaunchPlan::SameWitness(const LaunchPlan& other) const {
  return &profile == &other.profile && staging == other.staging && cgroup == other.cgroup &&
         cgroup_levels == other.cgroup_levels && passed.size() == other.passed.size() &&
         view == other.view && !other.witness.trials.empty();
}

void LaunchPlan::Prepare(LaunchPlan* before) {
  for (const EnvVar& var : profile->environment) environment.push_back(var.name + "=" + var.value);
  if (!passed.empty()) {
    std::string names;
    for (const std::string& name : passed_names) names += (names.empty() ? "" : ":") + name;
    environment.push_back("LISTEN_FDS=" + std::to_string(passed.size()));
    environment.push_back("LISTEN_FDNAMES=" + names);
    environment.push_back("LISTEN_PID=" + std::to_string(kComponentPid));
  }
  if (profile->lifecycle.ready.kind == ReadyKind::kNotify) {
    environment.push_back(std::string("NOTIFY_SOCKET=") + kNotifySocket);
  }
  if (profile->lifecycle.watchdog_ms != 0) {
    // As sd_watchdog_enabled(3) reads it.
    environment.push_back("WATCHDOG_USEC=" + std::to_string(profile->lifecycle.watchdog_ms) +
                          "000");
    environment.push_back("WATCHDOG_PID=" + std::to_string(kComponentPid));
  }
  for (std::string& text : environment) envp.push_back(text.data());
  envp.push_back(nullptr);
  for (const std::string& text : profile->argv) argv.push_back(const_cast<char*>(text.c_str()));
  argv.push_back(nullptr);
  const bool same = before != nullptr && SameWitness(*before);
  // It only ever shrinks.
  bounding = same ? std::move(before->bounding) : BoundingCapabilities();
  const uint32_t exec = profile->pin ? SYS_execveat : SYS_execve;
  const uint32_t action = Evaluate(profile->filter, {exec, AuditArch(profile->arch), 0, {}}).action;
  launch_call = action == kRetAllow ? kBarrierCall : exec;
  traced = action == kRetTrace;
  witness = same ? std::move(before->witness) : PlanWitness(*this);
  stack = std::make_unique_for_overwrite<std::byte[]>(kStackSize);
  ReaperFilter();
}

LaunchResult Launch(Kernel& kernel, const LaunchPlan& plan, int& error) {
  Sockets sockets;
  LaunchResult result;
  if (error = sockets.Open(kernel); error != 0) {
    sockets.CloseAll();
    return result;
  }
  const long pid = kernel(SYS_clone, CloneFlags(plan), nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) {
    // Only the supervisor is to hold these: whose supervisor died before its death could be asked
    // to be told ends by their end.
    for (const int fd : {sockets.control[0], sockets.handshake[0], sockets.installed[0]}) {
      kernel(SYS_close, fd);
    }
    RunReaper(kernel, plan, {sockets.control[1], sockets.handshake[1], sockets.installed[1]});
  }
  Close(sockets.control[1]);
  Close(sockets.handshake[1]);
  Close(sockets.installed[1]);
  if (pid < 0) {
    error = static_cast<int>(-pid);
    sockets.CloseAll();
    return result;
  }
  for (const int fd : {sockets.control[0], sockets.handshake[0], sockets.installed[0]}) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  }
  result.reaper = static_cast<pid_t>(pid);
  result.control = sockets.control[0];
  result.handshake = sockets.handshake[0];
  result.installed = sockets.installed[0];
  return result;
}

}  // namespace bulkhead
