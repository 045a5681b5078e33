// SPDX-License-Identifier: Apache-2.0
#include "policy/check_connected.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/text.h"

namespace bulkhead {
namespace {

const ComponentPolicy* Find(const Policy& policy, std::string_view name) {
  const auto found = std::ranges::find(policy.components, name, &ComponentPolicy::name);
  return found == policy.components.end() ? nullptr : &*found;
}

const std::string& NameOf(const UnixListen& listen) {
  return listen.by_component ? listen.path : listen.name;
}

// Directly or by what that starts after.
bool StartsAfter(const Policy& policy, const std::string& one, const std::string& other) {
  std::set<std::string> seen;
  std::vector<std::string> open{one};
  while (!open.empty()) {
    const ComponentPolicy* component = Find(policy, open.back());
    open.pop_back();
    if (component == nullptr) continue;
    for (const Text& after : component->after) {
      if (after.value == other) return true;
      if (seen.insert(after.value).second) open.push_back(after.value);
    }
  }
  return false;
}

void CheckListener(const Policy& policy, const ChannelPolicy& channel, Diagnostics& diagnostics) {
  const ComponentPolicy* server = Find(policy, channel.to.value);
  if (server == nullptr) return;  // reported as such
  const UnixListen* listen = ListenerOf(policy, channel);
  if (listen == nullptr) {
    std::vector<std::string_view> names;
    for (const UnixListen& known : server->network.unix_listen) names.push_back(NameOf(known));
    diagnostics.Error(channel.listener.at.place, "E0423",
                      fmt::format("{} is no unix listener of {}", Quoted(channel.listener.value),
                                  Quoted(channel.to.value)),
                      names.empty() ? "it has none: write `network.unix.listen`"
                                    : fmt::format("it has: {}", fmt::join(names, ", ")));
    return;
  }
  const ReadyKind ready = server->lifecycle.ready.kind;
  if (ready == ReadyKind::kExit || (listen->by_component && ready == ReadyKind::kStarted)) {
    diagnostics.Error(
        channel.listener.at.place, "E0425",
        fmt::format("{} is ready when {}", Quoted(channel.to.value),
                    ready == ReadyKind::kExit ? "it has ended" : "it may not have made its socket"),
        "who is connected to it starts when it is ready: write `ready: listening` or `notify`");
  }
}

}  // namespace

const UnixListen* ListenerOf(const Policy& policy, const ChannelPolicy& channel) {
  const ComponentPolicy* server = Find(policy, channel.to.value);
  if (server == nullptr) return nullptr;
  const auto& listens = server->network.unix_listen;
  const auto found = std::ranges::find(listens, channel.listener.value, NameOf);
  return found == listens.end() ? nullptr : &*found;
}

void CheckConnected(const Policy& policy, Diagnostics& diagnostics) {
  for (const ChannelPolicy& channel : policy.channels) {
    const bool connected = channel.kind == ChannelKind::kConnected;
    const bool named = !channel.listener.value.empty();
    if (!connected) {
      for (const Statement& at : {channel.listener.at, channel.identity_at}) {
        if (at.place == Place{}) continue;
        diagnostics.Error(at.place, "E0422", "only a channel of kind `connected` has a server",
                          "write `kind: connected`, or take it out");
      }
      continue;
    }
    if (!named) {
      diagnostics.Error(channel.at.place, "E0422", "a connection needs a `listener`",
                        "write the `name` of a unix listener of `to`");
      continue;
    }
    CheckListener(policy, channel, diagnostics);
    if (channel.from.value == channel.to.value ||
        StartsAfter(policy, channel.from.value, channel.to.value)) {
      continue;
    }
    diagnostics.Error(channel.from.at.place, "E0424",
                      fmt::format("{} does not start after {}, which it is connected to",
                                  Quoted(channel.from.value), Quoted(channel.to.value)),
                      fmt::format("write `after: [{}]` in it", channel.to.value));
  }
}

}  // namespace bulkhead
