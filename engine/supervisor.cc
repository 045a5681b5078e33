// SPDX-License-Identifier: Apache-2.0
// Set-up, the loop and the timers. What happens to one component is in component_run.cc.
#include "engine/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "engine/clock.h"
#include "engine/kept_paths.h"

namespace bulkhead {

namespace {

constexpr size_t kMaxWords = 64;             // of a reaper, before what it is late with is judged
constexpr uint64_t kTickInterval = 1000;     // ms: folded audit counts, budgets
constexpr uint64_t kListeningInterval = 20;  // ms: looking for a component's own socket

tl::unexpected<StartError> Error(const std::string& step, const std::string& object, int error) {
  return tl::make_unexpected(
      StartError{"cannot " + step + " `" + object + "`: " + std::strerror(error)});
}

}  // namespace

Supervisor::Supervisor(Bundle bundle, const Digest& digest, const FeatureSet& kernel,
                       SupervisorOptions options, AuditLog log, OutputLog output)
    : bundle_(std::move(bundle)),
      kernel_features_(kernel),
      options_(std::move(options)),
      log_(std::move(log)),
      output_(std::move(output)),
      digest_(digest) {}

Supervisor::~Supervisor() {
  for (auto& component : components_) KillAll(*component);
}

namespace {

StartError SinkText(const char* which, const SinkError& error) {
  return Error("open the " + std::string(which) + " sink (" + error.step + ")", error.object,
               error.error)
      .value();
}

tl::expected<OutputLog, SinkError> OpenOutput(const Bundle& bundle, AuditLog& log, bool plain) {
  std::vector<std::string> names;
  for (const Profile& profile : bundle.components()) names.push_back(profile->name);
  return OutputLog::Open(bundle->output, std::move(names), log.StandardOutput(), plain);
}

}  // namespace

tl::expected<std::unique_ptr<Supervisor>, StartError> Supervisor::Create(
    Bundle bundle, const Digest& digest, const FeatureSet& kernel, SupervisorOptions options) {
  auto log = AuditLog::Open(bundle->sinks, digest, ReadBootId());
  if (!log) return tl::make_unexpected(SinkText("audit", log.error()));
  auto output = OpenOutput(bundle, *log, options.plain_output);
  if (!output) return tl::make_unexpected(SinkText("output", output.error()));
  std::unique_ptr<Supervisor> supervisor(new Supervisor(
      std::move(bundle), digest, kernel, std::move(options), std::move(*log), std::move(*output)));
  supervisor->Status("audit key ed25519:" + Hex(supervisor->audit_public_key()));
  if (auto prepared = supervisor->Prepare(); !prepared) {
    return tl::make_unexpected(prepared.error());
  }
  return supervisor;
}

tl::expected<void, StartError> Supervisor::Prepare() {
  RecordLedger();
  RecordMeasured();
  if (auto bound = BindAuditKey(); !bound) return bound;
  const bool attests =
      std::any_of(bundle_.components().begin(), bundle_.components().end(),
                  [](const Profile& profile) { return profile->attestation.given; });
  if ((attests || bundle_->measure.events) && options_.door != nullptr) {
    attester_.emplace(*options_.door, bundle_->measure,
                      bundle_->target.features.Has(Feature::kCloseRange));
  }
  if (const auto linked = LinkedAssets(bundle_, LinkOnMachine); !linked.empty()) {
    const auto& [asset, file, problem] = linked.front();
    return tl::make_unexpected(StartError{"asset `" + asset + "`: `" + file + "` " + problem});
  }
  kept_ = KeptPaths(bundle_, options_.run_directory, LinkOnMachine);
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  sigset_t handled;
  sigemptyset(&handled);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&handled, signal);
  sigprocmask(SIG_BLOCK, &handled, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signals_ = Fd(signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!epoll_ || !signals_) return Error("watch", "signals", errno);
  Watch(Role::kSignals, 0, signals_.get());

  const std::string staging = options_.run_directory + "/view";
  if (mkdir(staging.c_str(), 0700) != 0 && errno != EEXIST) return Error("make", staging, errno);

  const bool guarded = std::any_of(
      bundle_.components().begin(), bundle_.components().end(), [](const Profile& profile) {
        return std::any_of(profile->listeners.begin(), profile->listeners.end(),
                           [](const Listener& listener) { return listener.guarded; });
      });
  if (guarded) {
    auto guard = ConnectGuard::Open(bundle_->enclave);
    if (!guard) return Error(guard.error().step, "the listeners' cgroup", guard.error().error);
    guard_ = std::make_unique<ConnectGuard>(std::move(*guard));
  }
  auto handovers = LayOut(bundle_, options_.run_directory, guard_.get());
  if (!handovers) {
    return Error(handovers.error().step, handovers.error().object, handovers.error().error);
  }
  bool wants_landlock_records = false;
  bool wants_tripwires = false;
  for (const Profile& profile : bundle_.components()) {
    auto component = std::make_unique<Component>(profile, 0);
    component->handover = std::move((*handovers)[profile->name]);
    wants_landlock_records |= profile->landlock.log;
    // Where Landlock leaves no records, opening a tripwire asks us.
    wants_tripwires |=
        !profile->landlock.log &&
        std::any_of(profile->view.begin(), profile->view.end(),
                    [](const ViewEntry& entry) { return entry.kind == ViewKind::kTripwire; });
    components_.push_back(std::move(component));
    for (uint32_t number = 1; number <= profile->instances.at_most; ++number) {
      components_.push_back(std::make_unique<Component>(profile, number));
    }
  }
  auto control = ControlSocket::Open(options_.run_directory + "/control");
  if (!control) return Error(control.error().step, control.error().object, control.error().error);
  control_ = std::move(*control);
  Watch(Role::kRequests, 0, control_.fd());
  if (wants_tripwires) {
    tripwires_ = Tripwires::Open();
    if (!tripwires_) return Error("watch", "tripwires", errno);
    Watch(Role::kTripwires, 0, tripwires_->fd());
  }
  if (wants_landlock_records) {
    auto audit = KernelAudit::Open();
    if (!audit) return Error(audit.error().step, "kernel audit", audit.error().error);
    kernel_audit_ = std::make_unique<KernelAudit>(std::move(*audit));
    Watch(Role::kAudit, 0, kernel_audit_->fd());
  }
  return {};
}

void Supervisor::Watch(Role role, size_t component, int fd) {
  const uint64_t id = next_id_++;
  sources_[id] = {role, component, fd};
  source_ids_[fd] = id;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void Supervisor::Unwatch(int fd) {
  const auto it = source_ids_.find(fd);
  if (it == source_ids_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  sources_.erase(it->second);
  source_ids_.erase(it);
}

void Supervisor::Dispatch(const Source& source, uint32_t revents) {
  Component& component = *components_[source.component];
  switch (source.role) {
    case Role::kSignals:
      return OnSignals();
    case Role::kAudit:
      return OnAuditRecords();
    case Role::kTripwires:
      return OnTripwires();
    case Role::kRequests:
      return OnControlRequests();
    case Role::kAttestation:
      return OnAttestation(component);
    case Role::kAttester:
      return RunAttester();
    case Role::kHandshake:
      return OnHandshake(component);
    case Role::kInstalled:
      return OnInstalled(component);
    case Role::kControl:
      OnControl(component);
      return;
    case Role::kListener:
      return OnRefusals(component, revents);
    case Role::kWorker:
      return OnWorker(component, source.fd);
    case Role::kObserver:
      return OnObserver(component);
    case Role::kConnections:
      return OnConnection(component, source.fd);
    case Role::kStdout:
    case Role::kStderr:
      OnOutput(component, source.role == Role::kStderr);
      return;
  }
}

bool Supervisor::Finished() const {
  return std::all_of(components_.begin(), components_.end(), [](const auto& component) {
    const UnitState state = component->unit.state();
    const bool free = component->instance != 0 && state == UnitState::kWaiting;
    return component->reaper < 0 &&
           (free || state == UnitState::kDone || state == UnitState::kFailed);
  });
}

int Supervisor::WaitTime(uint64_t now) const {
  uint64_t due = last_tick_ + kTickInterval;
  if (output_.due() != 0) due = std::min(due, output_.due());
  for (const auto& component : components_) {
    if (component->unit.deadline() != 0) due = std::min(due, component->unit.deadline());
    const bool looking = component->unit.state() == UnitState::kStarting &&
                         (component->profile->lifecycle.ready.kind == ReadyKind::kListening ||
                          component->profile->lifecycle.ready.kind == ReadyKind::kFile);
    if (looking) due = std::min(due, now + kListeningInterval);
    const bool purges =
        component->unpurged[0] + component->unpurged[1] > 0 && component->purges > 0;
    if (MayAnswerDeferred(*component) || purges) due = now;
    if (!component->workers) continue;
    for (size_t i = 0; i < kMaxWorkers; ++i) {
      if (const uint64_t worker = component->workers->due(i)) due = std::min(due, worker);
    }
  }
  return due <= now ? 0 : static_cast<int>(std::min<uint64_t>(due - now, 1000));
}

// A worker is done with most calls in less time than it takes to sleep and be woken.
int Supervisor::Wait(std::span<epoll_event> events, int milliseconds) {
  const int most = static_cast<int>(events.size());
  while (NowNs() < busy_until_) {
    if (const int count = epoll_wait(epoll_.get(), events.data(), most, 0); count != 0)
      return count;
    sched_yield();
  }
  return epoll_wait(epoll_.get(), events.data(), most, milliseconds);
}

int Supervisor::Run() {
  last_tick_ = NowMs();
  notify_ = ServiceNotify(getpid(), std::getenv("NOTIFY_SOCKET"), std::getenv("WATCHDOG_USEC"),
                          std::getenv("WATCHDOG_PID"));
  OnSignals();  // as PID 1: of who ended before signals were watched, no other one tells
  StartReady();
  while (!Finished()) {
    epoll_event events[64];
    const bool spare = WantsSpareNetwork(NowMs());
    const int count = Wait(events, spare ? 0 : WaitTime(NowMs()));
    if (spare && count == 0) MakeSpareNetwork(NowMs());
    for (int i = 0; i < count; ++i) {
      // An earlier event of this batch may have ended the source.
      const auto it = sources_.find(events[i].data.u64);
      if (it != sources_.end()) Dispatch(Source(it->second), events[i].events);
    }
    OnTimers(NowMs());
    if (stopping_) StopInOrder();
    TellManager();
  }
  // Nobody asked it to end, so every component ended by itself: then all must have ended well.
  const bool failed =
      std::any_of(components_.begin(), components_.end(), [](const auto& component) {
        // How an instance ends is between it and its client.
        return component->instance == 0 && component->unit.state() == UnitState::kFailed;
      });
  if (!stopping_ && failed) exit_code_ = std::max(exit_code_, 1);
  FinishAudit();
  MeasureAuditHead();
  for (auto& component : components_) {
    CloseRun(*component);
    RecordUnread(*component);
    component->cgroup.reset();
  }
  ReapWorkers();
  kernel_audit_.reset();
  guard_.reset();
  cgroups_.reset();
  unlink((options_.run_directory + "/control").c_str());
  RecordLostOutput(output_.Close());
  if (!log_.Close()) Status("the audit log could not be closed whole");
  return exit_code_;
}

// Nobody with a component's uid outlives the enclave. This process may have other children, from
// before it became the supervisor.
void Supervisor::ReapWorkers() {
  constexpr int kGlances = 200;
  for (int i = 0; i < kGlances && !killed_workers_.empty(); ++i) {
    std::erase_if(killed_workers_, [](pid_t pid) {
      return waitpid(pid, nullptr, WNOHANG | __WALL) != 0;  // it was, or somebody else has
    });
    if (!killed_workers_.empty()) poll(nullptr, 0, 1);
  }
}

void Supervisor::TellManager() {
  if (!notify_.has_manager()) return;
  size_t up = 0;
  size_t all = 0;
  for (const auto& component : components_) {
    if (component->instance != 0) continue;
    ++all;
    if (component->unit.state() == UnitState::kUp) ++up;
  }
  notify_.Status(std::to_string(up) + " of " + std::to_string(all) + " components are up");
  if (stopping_) notify_.Stopping();
  if (booted_) notify_.Ready();
}

void Supervisor::OnTimers(uint64_t now) {
  for (auto& component : components_) {
    CheckListening(*component);
    ExpireWorkers(*component, now);
    Proceed(*component);
    // Its word that it lives may be there, and could not be heard while this was busy.
    const uint64_t deadline = component->unit.deadline();
    for (size_t turn = 0; deadline != 0 && deadline <= now && turn < kMaxWords; ++turn) {
      if (!OnControl(*component)) break;
    }
    const bool was_up = component->unit.state() == UnitState::kUp;
    const UnitAction action = component->unit.OnDeadline(now);
    if (action == UnitAction::kKill) {
      const bool stopping = component->unit.state() == UnitState::kStopping;
      const char* in_time = component->instance != 0 ? "lifetime" : "watchdog";
      Lifecycle(*component,
                stopping ? "stop-timeout"
                : was_up ? in_time
                         : "start-timeout",
                "killed");
    }
    Act(*component, action);
  }
  if (output_.due() != 0 && now >= output_.due()) {
    log_.Tick();  // it goes first where both write to one sink
    output_.Advance(now);
  }
  if (now < last_tick_ + kTickInterval) return;
  last_tick_ = now;
  for (size_t i = 0; i < components_.size(); ++i) {
    Component& component = *components_[i];
    component.spent = 0;
    JudgeStop(component);
    Release(component);
    component.brokered = 0;
    component.read = 0;
    component.muted = false;
    component.purges = kMaxDeferred;
    if (component.full) component.unpurged = {component.deferred.size(), component.queued.size()};
    component.written = 0;
    RecordUnread(component);
    if (component.choked && component.out) Watch(Role::kStdout, i, component.out.get());
    if (component.choked && component.err) Watch(Role::kStderr, i, component.err.get());
    component.choked = false;
    component.paused = false;
    if (component.accepts()) AcceptAgain(component);
    WatchAttestation(component);
  }
  RunAttester();
  if (kernel_audit_) kernel_audit_->Tick(AuditHandler());
  RecordAuditLoss();
  output_.Advance(now);
  RecordLostOutput(output_.TakeLosses(now));
  log_.Tick();
  control_.Tick(now);
  ReportSinks();
  notify_.Tick();
}

void Supervisor::OnSignals() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      if (auto reopened = log_.Reopen(); !reopened) {
        Status("cannot reopen " + reopened.error().object);
      }
      if (auto reopened = output_.Reopen(); !reopened) {
        Status("cannot reopen " + reopened.error().object);
      }
    } else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
      // A second request does not wait for grace times.
      if (stopping_) {
        for (auto& component : components_) KillAll(*component);
      }
      stopping_ = true;
    }
  }
  // Several children may stand behind one SIGCHLD; those that are not ours (as PID 1) just end.
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
    killed_workers_.erase(pid);
    if (pid <= 0) break;
    for (auto& component : components_) {
      if (component->reaper == pid) OnReaperDead(*component);
      if (component->workers) component->workers->Ended(pid);
      component->closers.erase(pid);
    }
  }
}

void Supervisor::StartReady() {
  if (stopping_) return;
  for (auto& component : components_) {
    if (component->instance != 0 || component->unit.state() != UnitState::kWaiting) continue;
    const auto& after = component->profile->lifecycle.after;
    const bool ready = std::all_of(after.begin(), after.end(), [&](const std::string& name) {
      return std::any_of(components_.begin(), components_.end(), [&](const auto& other) {
        return other->profile->name == name && other->unit.satisfied();
      });
    });
    if (ready && !WaitsForServer(*component))
      Act(*component, component->unit.OnDependenciesReady(NowMs()));
    if (stopping_) return;
  }
  booted_ = std::all_of(components_.begin(), components_.end(), [](const auto& component) {
    return component->instance != 0 || component->unit.satisfied();
  });
}

// A component is stopped when nothing that starts after it is left.
void Supervisor::StopInOrder() {
  for (auto& component : components_) {
    const std::string& name = component->profile->name;
    const bool needed = std::any_of(components_.begin(), components_.end(), [&](const auto& other) {
      const auto& after = other->profile->lifecycle.after;
      const bool depends = std::find(after.begin(), after.end(), name) != after.end();
      const UnitState state = other->unit.state();
      return depends &&
             (other->reaper >= 0 || (state != UnitState::kDone && state != UnitState::kFailed));
    });
    if (!needed) Act(*component, component->unit.Stop(NowMs()));
  }
}

Supervisor::Component* Supervisor::FindByPid(pid_t pid) {
  if (pid <= 0) return nullptr;
  // Numbers are used again: who runs under it now comes before all who ever did.
  for (auto& component : components_) {
    if (component->pid == pid) return component.get();
  }
  const auto past = past_runs_.Find(pid);
  return past ? components_[*past].get() : nullptr;
}

Supervisor::Component* Supervisor::FindByIndex(int32_t index) {
  return index < 0 ? nullptr : components_[static_cast<size_t>(index)].get();
}

Supervisor::Component* Supervisor::FindByNamespace(uint64_t pid_namespace) {
  for (auto& component : components_) {
    if (pid_namespace != 0 && component->pid_namespace == pid_namespace) return component.get();
  }
  return nullptr;
}

size_t Supervisor::IndexOf(const Component& component) const {
  for (size_t i = 0; i < components_.size(); ++i) {
    if (components_[i].get() == &component) return i;
  }
  return 0;
}

void Supervisor::Status(const std::string& text) { output_.Say(text, NowMs()); }

}  // namespace bulkhead
