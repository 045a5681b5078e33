// SPDX-License-Identifier: Apache-2.0
// What a run of a component is given as descriptors 3, 4, …, and whether it can be given yet.
#include <algorithm>

#include "engine/connect_channel.h"
#include "engine/secrets.h"
#include "engine/supervisor.h"

namespace bulkhead {

// Whether one that it starts with a connection to is not up. Instances are launched for a client
// that waits, and are lost with it instead.
bool Supervisor::WaitsForServer(const Component& component) const {
  return std::ranges::any_of(bundle_->channels, [&](const Channel& channel) {
    if (channel.kind != ChannelKind::kConnected || channel.from != component.profile->name) {
      return false;
    }
    return std::ranges::any_of(components_, [&](const auto& other) {
      return other->instance == 0 && other->profile->name == channel.to &&
             other->unit.state() != UnitState::kUp;
    });
  });
}

// Descriptors 3, 4, … of the run. What is made for it alone is in `own` until it is launched.
tl::expected<void, EdgeError> Supervisor::PassDescriptors(Component& component,
                                                          std::vector<Fd>& own) {
  LaunchPlan& plan = *component.plan;
  const auto pass = [&](const std::string& name, const Fd& fd) {
    plan.passed.push_back(fd.get());
    plan.passed_names.push_back(name);
  };
  const Handover& handover = OwnerOf(component).handover;
  size_t first = 0;
  if (component.instance != 0) {
    plan.accepted = true;
    pass(component.connection_name, component.connection);
    first = component.profile->listeners.size();
  }
  for (size_t i = first; i < handover.fds.size(); ++i) {
    const NamedFd& named = handover.fds[i];
    const auto channel = std::ranges::find(bundle_->channels, named.name, &Channel::name);
    const bool connected = i >= component.profile->listeners.size() &&
                           channel->kind == ChannelKind::kConnected &&
                           channel->from == component.profile->name;
    if (!connected) {
      pass(named.name, named.fd);
      continue;
    }
    auto fd = ConnectChannel(*channel, component.profile, *bundle_.Find(channel->to));
    if (!fd) return tl::make_unexpected(fd.error());
    own.push_back(std::move(*fd));
    pass(named.name, own.back());
  }
  for (const NamedFd& secret : handover.secrets) {
    auto copy = CopyOf(secret);
    if (!copy) return tl::make_unexpected(copy.error());
    own.push_back(std::move(*copy));
    pass(secret.name, own.back());
  }
  return {};
}

}  // namespace bulkhead
