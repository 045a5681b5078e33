// SPDX-License-Identifier: Apache-2.0
// Components with `instances`: the supervisor accepts their connections, and each is served by a
// run of its own that nothing of another run is left for.
#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "engine/clock.h"
#include "engine/supervisor.h"

namespace bulkhead {
void Supervisor::StartAccepting(Component& component) {
  // What is missing for a view is to stop the boot, and not the first client.
  auto view = ViewOf(component);
  if (!view) return FailLaunch(component, view.error());
  LaunchPlan plan(component.profile);
  plan.view = std::move(*view);
  plan.staging = options_.run_directory + "/view";
  if (tripwires_) plan.tripwire_fd = tripwires_->fd();
  if (auto used = UsePreparedView(component, plan); !used) {
    return FailLaunch(component, used.error());
  }
  auto ready = RestoreListeners(component.profile, component.handover, guard_.get()).and_then([&] {
    return Listen(component.profile, component.handover);
  });
  if (!ready) {
    return FailLaunch(component, ready.error().step + " `" + ready.error().object +
                                     "`: " + std::strerror(ready.error().error));
  }
  WatchListeners(component, true);
  Lifecycle(component, "start", "done");
  Act(component, component.unit.OnExecuted(NowMs()));
}

// Made at the start, and anew where the files of the view have become others.
tl::expected<void, std::string> Supervisor::UsePreparedView(Component& component,
                                                            LaunchPlan& plan) {
  auto split = SplitView(plan.view);
  if (!split) return {};
  if (!component.prepared_view || !component.prepared_view->Fits(*split)) {
    component.prepared_view.reset();
    auto made = PreparedView::Make(kernel_, plan.staging, *split, plan.tripwire_fd);
    if (!made) {
      const Failure& failure = made.error();
      const bool entry = failure.step == Step::kViewEntry && failure.index < split->shared.size();
      return tl::make_unexpected(
          std::string(StepName(failure.step)) +
          (entry ? " `" + split->shared[failure.index].path + "`" : std::string()) + ": " +
          std::strerror(failure.error));
    }
    component.prepared_view = std::move(*made);
  }
  plan.view_namespace = component.prepared_view->mount_namespace();
  plan.split = std::move(*split);
  return {};
}

// Kept while clients may come, and made while nothing else is to be done: a launch that goes on
// would wait for it.
bool Supervisor::WantsSpareNetwork(uint64_t now) const {
  if (stopping_ || spare_network_.fd() >= 0 || now < spare_network_due_) return false;
  bool wanted = false;
  for (const auto& component : components_) {
    if (component->reaper >= 0 && component->launch_pending) return false;
    const ProfileData& profile = *component->profile;
    wanted = wanted || (profile.instances.at_most != 0 && profile.network == Network::kNone &&
                        component->unit.state() == UnitState::kUp);
  }
  return wanted;
}

// Without one a launch makes its own, which takes longer and is the same.
void Supervisor::MakeSpareNetwork(uint64_t now) {
  constexpr uint64_t kAgain = 1000;  // ms
  if (spare_network_.Make(kernel_) != 0) spare_network_due_ = now + kAgain;
}

// Those that run go on until they are stopped themselves.
void Supervisor::StopAccepting(Component& component) {
  WatchListeners(component, false);
  CloseListeners(component.profile, component.handover);
  Act(component, component.unit.OnExit(0, NowMs(), 0));
}

void Supervisor::WatchListeners(Component& component, bool watch) {
  component.waits = !watch;
  const size_t index = IndexOf(component);
  for (const NamedFd& listener : component.handover.fds) {
    if (!listener.fd) continue;
    Unwatch(listener.fd.get());
    if (watch) Watch(Role::kConnections, index, listener.fd.get());
  }
}

// One connection a turn, so that no clients keep the loop from others.
void Supervisor::OnConnection(Component& component, int listener) {
  if (stopping_) return;
  Component* const instance = FreeInstance(component);
  // Until one ends the rest waits in the kernel's queue, which has an end.
  if (instance == nullptr) return WatchListeners(component, false);
  Fd connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) {
    // Gone again; or it stays in the queue for want of a descriptor or memory, and would come up
    // in every turn.
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) Pause(component);
    return;
  }
  for (const NamedFd& named : component.handover.fds) {
    if (named.fd.get() == listener) instance->connection_name = named.name;
  }
  instance->connection = std::move(connection);
  instance->unit = Unit(instance->profile->lifecycle, instance->profile->instances.lifetime_ms);
  Act(*instance, instance->unit.OnDependenciesReady(NowMs()));
}

Supervisor::Component* Supervisor::FreeInstance(const Component& component) {
  // They stand behind their component.
  const size_t first = IndexOf(component) + 1;
  for (size_t i = first; i < first + component.profile->instances.at_most; ++i) {
    const bool ended = components_[i]->reaper == -1 && !components_[i]->unit.running();
    if (ended) return components_[i].get();
  }
  return nullptr;
}

void Supervisor::EndInstance(Component& instance) {
  if (instance.instance == 0) return;
  AcceptAgain(OwnerOf(instance));
}

Supervisor::Component& Supervisor::OwnerOf(const Component& component) {
  return *components_[IndexOf(component) - component.instance];
}

void Supervisor::Pause(Component& component) {
  component.paused = true;
  WatchListeners(component, false);
}

void Supervisor::AcceptAgain(Component& component) {
  if (!component.waits || component.paused || component.unit.state() != UnitState::kUp) return;
  WatchListeners(component, true);
}

std::string Supervisor::NameOf(const Component& component) {
  const std::string& name = component.profile->name;
  return component.instance == 0 ? name : name + "@" + std::to_string(component.instance);
}

}  // namespace bulkhead
