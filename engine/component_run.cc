// SPDX-License-Identifier: Apache-2.0
// One component between its launch and its end, as the supervisor sees it: the handshake, its
// refused calls, its output, readiness and death.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "engine/clock.h"
#include "engine/open_path.h"
#include "engine/supervisor.h"
#include "profiles/syscalls.h"
#include "sandbox/cgroup_mounts.h"

namespace bulkhead {
namespace {

// A pipe of a component holds at most fs.pipe-max-size, 1 MiB unless the machine was told
// otherwise.
constexpr size_t kMaxLastReads = 128 + 1;
constexpr size_t kMaxReadyReads = 4;  // messages of the reaper before a call is judged

uint32_t Jitter() {
  uint32_t value = 0;
  if (syscall(SYS_getrandom, &value, sizeof value, 0) != sizeof value) return 0;
  return value;
}

std::string ExitText(int status, bool executed) {
  // No status: the whole namespace was killed before its reaper could report.
  if (status == -1) return executed ? "killed with all its processes" : "never executed";
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    return "killed by SIG" + std::string(name != nullptr ? name : "?");
  }
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

// Whether /proc/net/unix, as text, has a listening socket of this path. A line is: Num RefCount
// Protocol Flags Type St Inode Path, with one space between and the inode padded with more; flag
// 0x10000 is __SO_ACCEPTCON. Names of abstract sockets stand there raw, so in a network that is
// shared a line can be forged, and what it says only adds to what the file system says.
bool ListensOn(std::string_view table, const std::string& path) {
  while (!table.empty()) {
    std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    bool listening = false;
    for (int column = 0; column < 7; ++column) {
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      const size_t end = std::min(line.find(' '), line.size());
      if (column == 3) listening = line.substr(0, end) == "00010000";
      line.remove_prefix(end);
    }
    if (listening && !line.empty() && line.substr(1) == path) return true;
  }
  return false;
}

// Its directory is the component's own: nobody else can have made a socket there.
bool OwnsSocket(const std::string& path, uint32_t uid) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) && info.st_uid == uid;
}

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

void Supervisor::Act(Component& component, UnitAction action) {
  switch (action) {
    case UnitAction::kNone:
      return;
    case UnitAction::kLaunch:
      return StartOne(component);
    case UnitAction::kSignal: {
      const ReaperCommand command{static_cast<int32_t>(component.profile->lifecycle.stop_signal),
                                  0};
      Lifecycle(component, "stop", "done");
      if (component.accepts()) return StopAccepting(component);
      if (send(component.control.get(), &command, sizeof command, MSG_NOSIGNAL | MSG_DONTWAIT) <
          0) {
        KillAll(component);
      }
      Release(component);
      return;
    }
    case UnitAction::kKill:
      return KillAll(component);
    case UnitAction::kBecameReady:
      if (component.instance != 0) return;
      Lifecycle(component, "ready", "done");
      return StartReady();
    case UnitAction::kGaveUp:
      if (component.instance != 0) return;
      Lifecycle(component, "give-up", "failed");
      if (component.profile->lifecycle.critical) {
        Status("`" + component.profile->name + "` is critical and can't be kept up: ending");
        stopping_ = true;
        exit_code_ = std::max(exit_code_, 1);
      }
      return;
  }
}

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
    auto cgroup =
        cgroups_->Create(bundle_->enclave, profile.name, profile.limits, component.instance);
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
  Act(component, component.unit.OnExit(-1, NowMs(), Jitter()));
  EndInstance(component);
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

void Supervisor::OnRefusals(Component& component, uint32_t revents) {
  Notification call;
  const SeccompListener::State state = component.listener.Receive(call, revents);
  // A closed listener would report its hang-up for ever.
  if (state == SeccompListener::State::kClosed) Unwatch(component.listener.fd());
  if (state != SeccompListener::State::kCall) return;
  if (component.launch_pending && call.pid == component.pid &&
      call.data.nr == component.plan->launch_call) {
    component.launch_pending = false;
    const bool barrier = call.data.nr == kBarrierCall;
    component.listener.Respond(call, barrier ? Answer::kAbsent : Answer::kContinue);
    if (component.profile->on_violation == OnViolation::kObserve) Observe(component);
    return;
  }
  if (IsStartupCall(component, call.data)) {
    // Judged by registers, which nobody changes while it waits.
    component.listener.Respond(call, Answer::kContinue);
    SpendAnswer(component);
    return;
  }
  if (const auto kind = BrokeredKind(component, call)) return Broker(component, call, *kind);
  const auto& absent = component.profile->absent;
  const bool is_absent = std::binary_search(absent.begin(), absent.end(), call.data.nr);
  if (!is_absent && ReadsArguments(component, call)) {
    if (HandOver(component, {call, BrokerRequest::Kind::kRead})) return;
  }
  // Its caller waits for the answer, so its pid is its own until then.
  Event event = RefusalEvent(component, call, is_absent);
  // Until its exec has passed all of it is its witness.
  const bool tries = component.launch_pending;
  if (!is_absent && !tries) return Refuse(component, call, std::move(event));
  if (tries) event.kind = EventKind::kWitness;
  component.listener.Respond(call, is_absent ? Answer::kAbsent : Answer::kRefuse);
  log_.Append(std::move(event));
  SpendAnswer(component);
}

void Supervisor::SpendAnswer(Component& component) {
  if (++component.spent <= kNotificationBudget || !component.listener) return;
  component.muted = true;
  Unwatch(component.listener.fd());
}

// What the policy allows until the component is ready. Its word that it is may be there already.
bool Supervisor::IsStartupCall(Component& component, const SeccompData& data) {
  const Filter& startup = component.profile->startup;
  if (startup.empty() || component.launch_pending) return false;
  if (Evaluate(startup, data).action != kRetAllow) return false;
  for (size_t turn = 0; turn < kMaxReadyReads && OnControl(component); ++turn) {
  }
  const UnitState state = component.unit.state();
  return state == UnitState::kLaunching || state == UnitState::kStarting;
}

bool Supervisor::OnControl(Component& component) {
  if (!component.control) return false;
  ReaperMessage message;
  const ssize_t size = recv(component.control.get(), &message, sizeof message, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (size != sizeof message) {
    // The reaper is gone or talks nonsense; its death ends the run.
    Unwatch(component.control.get());
    KillAll(component);
    return false;
  }
  switch (message.kind) {
    case ReaperMessage::Kind::kFailure:
      FailLaunch(component, FailureText(component, message.failure));
      return false;
    case ReaperMessage::Kind::kReady:
      Act(component, component.unit.OnReady(NowMs()));
      return true;
    case ReaperMessage::Kind::kAlive:
      component.unit.OnAlive(NowMs());
      return true;
    case ReaperMessage::Kind::kExit:
      component.exit_status = message.status;
      return true;
  }
  KillAll(component);
  return false;
}

bool Supervisor::OnOutput(Component& component, bool err) {
  Fd& fd = err ? component.err : component.out;
  if (!fd) return false;
  std::array<char, 8192> bytes;
  const ssize_t size = read(fd.get(), bytes.data(), bytes.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (size <= 0) {
    Unwatch(fd.get());
    return false;
  }
  const std::string label = options_.plain_output ? "" : NameOf(component) + " | ";
  LineLog& lines = err ? component.err_lines : component.out_lines;
  const std::string text = lines.Feed({bytes.data(), static_cast<size_t>(size)}, label);
  WriteWithoutWaiting(err ? STDERR_FILENO : STDOUT_FILENO, text);
  Remember(component, text);
  // What is written of short lines is mostly their labels.
  SpendOutput(component, std::max(static_cast<size_t>(size), text.size()));
  return true;
}

void Supervisor::SpendOutput(Component& component, size_t bytes) {
  component.written += static_cast<uint32_t>(bytes);
  if (component.written <= kOutputBudget || component.choked) return;
  component.choked = true;
  for (const Fd* fd : {&component.out, &component.err}) {
    if (*fd) Unwatch(fd->get());
  }
}

// Looks at the kernel's list of listening sockets of the component's own network namespace, or for
// the stated file: both without opening anything of the component.
void Supervisor::CheckListening(Component& component) {
  const Readiness& ready = component.profile->lifecycle.ready;
  if (component.unit.state() != UnitState::kStarting) return;
  if (ready.kind == ReadyKind::kFile) {
    const std::string root = "/proc/" + std::to_string(component.pid) + "/root";
    if (OpenWithoutLinks(root, ready.path, O_PATH)) Act(component, component.unit.OnReady(NowMs()));
    return;
  }
  if (ready.kind != ReadyKind::kListening) return;
  const std::string table = "/proc/" + std::to_string(component.pid) + "/net/unix";
  if (OwnsSocket(ready.path, component.profile->uid) &&
      ListensOn(ReadSmallFile(table), ready.path)) {
    Act(component, component.unit.OnReady(NowMs()));
  }
}

void Supervisor::KillAll(Component& component) {
  // The reaper is our child and not yet waited for, so the pid is its. Its death takes the PID
  // namespace along.
  if (component.reaper > 0) kill(component.reaper, SIGKILL);
}

void Supervisor::OnReaperDead(Component& component) {
  component.reaper = kReaped;
  // What was written before the end is still in the pipes and sockets. Of the kernel's records one
  // turn is read, as other components may be refused without end; later ones find this run by its
  // pid.
  if (kernel_audit_) kernel_audit_->Drain(AuditHandler());
  SettleLaunch(component);
  for (size_t turn = 0; turn < kMaxLastReads && OnControl(component); ++turn) {
  }
  for (const bool err : {false, true}) {
    // A descendant that escaped the namespace's end can't exist, so the pipe holds what it holds.
    for (size_t turn = 0; turn < kMaxLastReads && OnOutput(component, err); ++turn) {
    }
  }
  component.reaper = -1;
  FinishObserver(component);
  RecordLimits(component);
  const int status = component.exit_status;
  const UnitState before = component.unit.state();
  const bool wanted = before == UnitState::kStopping;
  const bool failed = !wanted && status != 0;
  Lifecycle(component, "exit", failed ? "failed" : "done",
            ExitText(status, before != UnitState::kLaunching));
  if (failed && component.violations != 0) {
    Status("`" + NameOf(component) + "` was refused " + std::to_string(component.violations) +
           " calls in this run, the last `" + component.last_refused + "`: see the audit log");
  }
  CloseRun(component);
  if (component.instance == 0) {
    CloseListeners(component.profile, component.handover);
    CloseEdges(component.profile);
  }
  Act(component, component.unit.OnExit(status, NowMs(), Jitter()));
  EndInstance(component);
}

void Supervisor::CloseRun(Component& component) {
  for (Fd* fd : {&component.control, &component.handshake, &component.installed, &component.out,
                 &component.err}) {
    if (*fd) Unwatch(fd->get());
    fd->Reset();
  }
  CloseAttestation(component);
  CloseWorkers(component);
  if (component.listener) Unwatch(component.listener.fd());
  component.listener = {};
  if (component.observer) Unwatch(component.observer->fd());
  component.observer.reset();
  component.pidfd.Reset();
  const std::string label = options_.plain_output ? "" : NameOf(component) + " | ";
  for (const bool err : {false, true}) {
    const std::string rest = (err ? component.err_lines : component.out_lines).Finish(label);
    WriteWithoutWaiting(err ? STDERR_FILENO : STDOUT_FILENO, rest);
    Remember(component, rest);
  }
  if (component.pid > 0) component.past_pids.push_front(component.pid);
  if (component.past_pids.size() > kPastPids) component.past_pids.pop_back();
  component.pid = -1;
  component.witnessed.reset();
  component.root_device = 0;
  component.muted = component.choked = false;
  component.written = 0;
  component.held = component.held_before = false;
  component.runs_on = component.ran_on = false;
  component.violations = 0;
  component.denials = 0;
  // Its cgroup stays: what a run leaves behind, such as files in memory that it passed to others,
  // counts against the limit of the next.
  if (component.cgroup) component.cgroup->Kill();
  CloseElsewhere(component.connection);
}

}  // namespace bulkhead
