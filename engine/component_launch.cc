// SPDX-License-Identifier: Apache-2.0
// One component's launch, as the supervisor sees it: what is put together before the clone, and the
// handshake until its program runs. What the run says from then on is in component_run.cc.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/clock.h"
#include "engine/pid_namespace.h"
#include "engine/supervisor.h"

namespace bulkhead {
namespace {

std::string TextOf(const EdgeError& error) {
  return error.step + " `" + error.object + "`: " + std::strerror(error.error);
}

std::string TextOf(const CgroupError& error) {
  return "cgroup: " + error.step + " `" + error.object + "`: " + std::strerror(error.error);
}

// A pipe whose write end the component may open again by /dev/stdout.
bool OutputPipe(const ProfileData& profile, Stream to, Fd& read_end, Fd& write_end) {
  if (to == Stream::kNull) return true;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  read_end = Fd(ends[0]);
  write_end = Fd(ends[1]);
  return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && fchown(ends[1], profile.uid, profile.gid) == 0;
}

}  // namespace

tl::expected<std::vector<ViewOp>, std::string> Supervisor::ViewOf(const Component& component) {
  auto view = PlanView(component.profile,
                       {.notify_source = component.handover.notify_directory,
                        .watch_tripwires = !component.profile->landlock.log,
                        .proc_subset = bundle_->target.features.Has(Feature::kProcSubsetPid),
                        .kept = kept_},
                       kernel_);
  if (view) return std::move(*view);
  const ViewError& error = view.error();
  return tl::make_unexpected("view: `" + error.path + "`: " +
                             (error.error != 0 ? std::strerror(error.error) : error.reason));
}

void Supervisor::StartOne(Component& component) {
  const ProfileData& profile = *component.profile;
  if (component.accepts()) return StartAccepting(component);
  if (component.instance == 0 && WaitsForServer(component)) {
    // A start of its own when the server is up, and none of its budget until then.
    return component.unit.OnServerMissing();
  }
  // Those of an instance are the component's.
  if (component.instance == 0) {
    const auto set = RestoreEdges(component.profile).and_then([&] {
      return RestoreListeners(component.profile, component.handover, guard_.get());
    });
    if (!set) return FailLaunch(component, TextOf(set.error()));
  }
  const std::unique_ptr<LaunchPlan> before = std::move(component.plan);
  component.plan = std::make_unique<LaunchPlan>(component.profile);
  LaunchPlan& plan = *component.plan;
  plan.staging = options_.run_directory + "/view";
  auto view = ViewOf(component);
  if (!view) return FailLaunch(component, view.error());
  plan.view = std::move(*view);
  Fd out, err;
  if (!OutputPipe(profile, profile.stdout_to, component.out, out) ||
      !OutputPipe(profile, profile.stderr_to, component.err, err)) {
    return FailLaunch(component, std::string("output pipes: ") + std::strerror(errno));
  }
  plan.stdout_fd = out.get();
  plan.stderr_fd = err.get();
  std::vector<Fd> own;  // of this run alone
  if (auto passed = PassDescriptors(component, own); !passed) {
    return FailLaunch(component, TextOf(passed.error()));
  }
  Fd attestation;  // the component's end
  if (profile.attestation.given) {
    auto opened = OpenAttestation(component);
    if (!opened) return FailLaunch(component, opened.error());
    attestation = std::move(*opened);
    plan.passed.push_back(attestation.get());
    plan.passed_names.emplace_back(kAttestationName);
  }
  if (tripwires_) plan.tripwire_fd = tripwires_->fd();
  if (component.instance != 0) {
    if (auto used = UsePreparedView(OwnerOf(component), plan); !used) {
      return FailLaunch(component, used.error());
    }
    if (profile.network == Network::kNone) plan.network_namespace = spare_network_.fd();
  }
  // Its reaper's copy is the last one, from the launch on: what is queued there is not ours to
  // close.
  auto notify = MakeNotifySocket(component.profile, component.handover);
  if (!notify) {
    return FailLaunch(component, TextOf(notify.error()));
  }
  plan.notify_fd = notify->get();
  plan.close_range = bundle_->target.features.Has(Feature::kCloseRange);
  plan.wait_killable = kernel_features_.Has(Feature::kSeccompWaitKillable);
  if (component.cgroup == nullptr) {
    auto cgroup = cgroups_->Create(bundle_->enclave, profile.name, profile.limits,
                                   component.instance, profile.notifies ? kMaxWorkers : 0);
    if (!cgroup) return FailLaunch(component, TextOf(cgroup.error()));
    component.cgroup = std::make_unique<Cgroup>(std::move(*cgroup));
    component.counted = {};
  }
  const std::vector<std::string> groups = component.cgroup->Directories();
  if (!groups.empty()) plan.cgroup = groups[0].substr(groups[0].rfind('/') + 1);
  plan.cgroup_levels = static_cast<int>(groups.size());
  const auto entrances = component.cgroup->Open();
  if (!entrances) {
    component.cgroup.reset();  // somebody removed it
    return FailLaunch(component, TextOf(entrances.error()));
  }
  for (const Fd& tasks : entrances->tasks) plan.cgroup_tasks.push_back(tasks.get());
  plan.cgroup_directory = entrances->directory.get();
  plan.Prepare(before.get());

  int error = 0;
  const LaunchResult launched = Launch(kernel_, plan, error);
  // Whatever came of it, no other run gets the same.
  if (plan.network_namespace >= 0) spare_network_.Drop();
  if (launched.reaper < 0) {
    return FailLaunch(component, std::string("clone: ") + std::strerror(error));
  }
  component.reaper = launched.reaper;
  component.control = Fd(launched.control);
  component.handshake = Fd(launched.handshake);
  component.installed = Fd(launched.installed);
  component.launch_pending = profile.notifies;
  component.witness_refusals = plan.witness.landlock_refusals;
  component.exit_status = -1;
  component.since = NowMs();
  const size_t index = IndexOf(component);
  Watch(Role::kControl, index, launched.control);
  Watch(Role::kHandshake, index, launched.handshake);
  if (component.out) Watch(Role::kStdout, index, component.out.get());
  if (component.err) Watch(Role::kStderr, index, component.err.get());
}

// Nothing of the component runs. At its first start the enclave does not boot; later it is a failed
// start like any other.
void Supervisor::FailLaunch(Component& component, const std::string& what) {
  Status("`" + NameOf(component) + "` can't be confined: " + what);
  Lifecycle(component, "confine", "failed", what);
  if (component.instance != 0) {
    // What can't be launched is tried once a second, whatever clients do.
    Pause(OwnerOf(component));
  } else if (!component.unit.satisfied()) {
    stopping_ = true;
    exit_code_ = 3;
  }
  if (component.reaper >= 0) {
    KillAll(component);  // its death is handled like any other
    return;
  }
  CloseRun(component);
  EndRun(component, -1);
}

std::string Supervisor::FailureText(const Component& component, const Failure& failure) const {
  const ProfileData& profile = *component.profile;
  std::string object;
  if (failure.step == Step::kViewEntry && failure.index < component.plan->view.size()) {
    object = component.plan->view[failure.index].origin;
  } else if (failure.step == Step::kRulesetPath && failure.index < profile.landlock.rules.size()) {
    object = profile.landlock.rules[failure.index].path;
  } else if (failure.step == Step::kRulesetPort && failure.index < profile.landlock.ports.size()) {
    object = std::to_string(profile.landlock.ports[failure.index].port);
  } else if (failure.step == Step::kListen && failure.index < profile.listeners.size()) {
    object = profile.listeners[failure.index].name;
  } else if (failure.step == Step::kProgram || failure.step == Step::kExec) {
    object = profile.argv[0];
  } else if (failure.step == Step::kDirectory) {
    object = profile.directory;
  }
  if (failure.step == Step::kWitness && failure.index < component.plan->witness.trials.size()) {
    const Trial& trial = component.plan->witness.trials[failure.index];
    return "its witness misses `" + trial.rule + "`: " + trial.what + ", but the answer was " +
           (failure.error == 0 ? "no error" : std::strerror(failure.error));
  }
  if (failure.step == Step::kProgram && failure.error == EKEYREJECTED && profile.pin) {
    return "its program (`" + object +
           "`) is not the one that the policy pins, sha384:" + Hex(*profile.pin);
  }
  std::string text = "cannot " + std::string(StepName(failure.step));
  if (!object.empty()) text += " (`" + object + "`)";
  return text + ": " + std::strerror(failure.error);
}

void Supervisor::OnHandshake(Component& component) {
  alignas(8) std::array<char, 64> bytes{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  iovec vector{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size =
      recvmsg(component.handshake.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  // Reset: it has ended without reading the go; what it said before is still to come.
  if (size < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET)) return;
  if (size == sizeof(Failure)) {
    Failure failure;
    std::memcpy(&failure, bytes.data(), sizeof failure);
    return FailLaunch(component, FailureText(component, failure));
  }
  if (size == sizeof(Hello) && component.pid < 0) {
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_CREDENTIALS) {
      return FailLaunch(component, "no credentials in the handshake");
    }
    ucred credentials{};
    std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
    component.pid = credentials.pid;
    component.pid_namespace = PidNamespaceOf(credentials.pid);
    if (component.profile->notifies) {
      component.pidfd = Fd(static_cast<int>(syscall(SYS_pidfd_open, credentials.pid, 0)));
      if (!component.pidfd) {
        const std::string why = std::string("pidfd_open: ") + std::strerror(errno);
        return FailLaunch(component, LastWord(component, why));
      }
    }
    // In those of version 1 it is by its own doing.
    if (component.plan->cgroup_directory >= 0) {
      if (auto attached = component.cgroup->Attach(component.pid); !attached) {
        return FailLaunch(component, "cgroup: " + attached.error().step + ": " +
                                         std::strerror(attached.error().error));
      }
    }
    Watch(Role::kInstalled, IndexOf(component), component.installed.get());
    // Until it is told to go on the component holds it as well: closing this copy closes nothing.
    component.connection.Reset();
    const char go = 1;
    if (send(component.handshake.get(), &go, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
      return FailLaunch(component, LastWord(component, "the handshake broke"));
    }
    return;
  }
  if (size == sizeof(Witnessed) && component.pid >= 0 && !component.witnessed) {
    Witnessed told;
    std::memcpy(&told, bytes.data(), sizeof told);
    if (told.magic != kWitnessedMagic || told.trials != component.plan->witness.trials.size()) {
      return FailLaunch(component, "the handshake broke");
    }
    component.witnessed = told;
    return;
  }
  // End of file: executed, or dead, which the reaper reports. Before the filter is in place it can
  // only be death.
  Unwatch(component.handshake.get());
  component.handshake.Reset();
  Executed(component);
}

// The handshake was closed by the exec: with the filter in place and the launch's call passed.
void Supervisor::Executed(Component& component) {
  if (component.handshake || component.installed || component.launch_pending) return;
  struct stat info {};
  // The root of its view tells its tripwires from those of others.
  const std::string view_root = "/proc/" + std::to_string(component.pid) + "/root";
  if (tripwires_ && stat(view_root.c_str(), &info) == 0) component.root_device = info.st_dev;
  // Its process can have died before it came so far; it can't have executed.
  if (!component.witnessed) return KillAll(component);
  const Witnessed& told = *component.witnessed;
  Lifecycle(component, "start", "done", {},
            {{"witness", std::to_string(told.trials)},
             {"witness_us", std::to_string(told.nanoseconds / 1000)}});
  Act(component, component.unit.OnExecuted(NowMs()));
}

// What one that is dead has said that failed; `otherwise`: nothing.
std::string Supervisor::LastWord(Component& component, const std::string& otherwise) const {
  constexpr int kMessages = 3;  // its greeting, a reset, what failed
  for (int i = 0; i < kMessages && component.handshake; ++i) {
    alignas(8) std::array<char, 64> bytes{};
    const ssize_t size = recv(component.handshake.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size != sizeof(Failure)) continue;
    Failure failure;
    std::memcpy(&failure, bytes.data(), sizeof failure);
    return FailureText(component, failure);
  }
  return otherwise;
}

// A program can have ended before its exec was noticed: that it began is in the pipes.
void Supervisor::SettleLaunch(Component& component) {
  if (component.pid < 0) {
    // It may have failed before anybody greeted it back: that is no end of a program.
    const std::string why = LastWord(component, "");
    if (!why.empty()) FailLaunch(component, why);
    return;
  }
  char none = 0;
  // With a listener its exec waited for it, and this is closed.
  if (component.installed && read(component.installed.get(), &none, 1) == 0) {
    OnInstalled(component);
  }
  // What the witness said, then the end; or a reset, what failed, the end.
  for (int i = 0; i < 3 && component.handshake && !component.installed; ++i) OnHandshake(component);
}

void Supervisor::OnInstalled(Component& component) {
  Unwatch(component.installed.get());
  component.installed.Reset();
  if (!component.profile->notifies) return Executed(component);
  auto listener = SeccompListener::Take(component.pidfd.get(), ListenerNumber(*component.plan));
  if (!listener) {
    // The process is dead, or it is not confined as it should be; either way it must not run.
    return KillAll(component);
  }
  component.listener = std::move(*listener);
  OpenWorkers(component);
  Watch(Role::kListener, IndexOf(component), component.listener.fd());
}

}  // namespace bulkhead
