// SPDX-License-Identifier: Apache-2.0
#include "policy/check_edges.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/text.h"

namespace bulkhead {
namespace {

// Remembers where each name was first and reports the second.
class Unique {
 public:
  Unique(std::string_view what, Diagnostics& diagnostics)
      : what_(what), diagnostics_(diagnostics) {}

  void Add(const std::string& name, const Place& place) {
    if (name.empty()) return;  // refused before
    const auto [first, added] = first_.emplace(name, place);
    if (added) return;
    diagnostics_.Error(place, "E0407", fmt::format("{} {} is taken", what_, Quoted(name)),
                       fmt::format("it was given away on line {}", first->second.line));
  }

 private:
  std::string_view what_;
  Diagnostics& diagnostics_;
  std::map<std::string, Place> first_;
};

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

void CheckHandedOver(const Policy& policy, const ComponentPolicy& component,
                     Diagnostics& diagnostics) {
  Unique names("the descriptor name", diagnostics);
  for (const UnixListen& listen : component.network.unix_listen) {
    names.Add(listen.name, listen.at.place);
  }
  for (const TcpListen& listen : component.network.tcp_listen) {
    names.Add(listen.name, listen.at.place);
  }
  for (const VsockListen& listen : component.network.vsock_listen) {
    names.Add(listen.name, listen.at.place);
  }
  for (const ChannelPolicy& channel : policy.channels) {
    // Who is connected to has its listener.
    const bool other =
        channel.to.value == component.name && channel.kind != ChannelKind::kConnected;
    if (channel.from.value == component.name || other) {
      names.Add(channel.name, channel.at.place);
    }
  }
  for (const SecretPolicy& secret : component.secrets) names.Add(secret.name, secret.at.place);
}

// Who has access to an edge's directory: the directory has one group for all of them.
std::string PeersOf(const ComponentPolicy& component, const UnixListen& listen) {
  std::set<std::string> peers;
  for (const Text& from : listen.from) peers.insert(from.value);
  return component.name + " <- " + fmt::format("{}", fmt::join(peers, ", "));
}

struct Edge {
  const ComponentPolicy* server;
  const UnixListen* listen;
};

void CheckDirectories(const Policy& policy, Diagnostics& diagnostics) {
  std::map<std::string, Edge> by_directory;
  for (const ComponentPolicy& component : policy.components) {
    for (const UnixListen& listen : component.network.unix_listen) {
      if (listen.path.empty()) continue;
      const std::string directory = DirectoryOf(listen.path);
      const auto [first, added] = by_directory.emplace(directory, Edge{&component, &listen});
      const std::string theirs = PeersOf(*first->second.server, *first->second.listen);
      const std::string ours = PeersOf(component, listen);
      if (added || ours == theirs) continue;
      diagnostics.Error(listen.at.place, "E0408",
                        fmt::format("{} is the directory of another edge", Quoted(directory)),
                        fmt::format("one directory an edge: here {}, on line {} {}", ours,
                                    first->second.listen->at.place.line, theirs));
    }
  }
}

bool Names(const std::vector<Text>& texts, std::string_view value) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const Text& text) { return text.value == value; });
}

class EdgeChecker {
 public:
  EdgeChecker(const Policy& policy, Diagnostics& diagnostics)
      : policy_(policy), diagnostics_(diagnostics) {
    for (const ComponentPolicy& component : policy.components) {
      by_name_[component.name] = &component;
      for (const UnixListen& listen : component.network.unix_listen) {
        by_path_.emplace(listen.path, Edge{&component, &listen});
        paths_.push_back(listen.path);
      }
    }
  }

  void Check() {
    for (const auto& [path, edge] : by_path_) CheckServer(edge);
    for (const ComponentPolicy& component : policy_.components) {
      for (const Text& connect : component.network.unix_connect) CheckClient(component, connect);
    }
  }

 private:
  void CheckServer(const Edge& edge) {
    for (const Text& from : edge.listen->from) {
      const auto client = by_name_.find(from.value);
      if (client == by_name_.end() || client->second == edge.server) continue;
      if (Names(client->second->network.unix_connect, edge.listen->path)) continue;
      diagnostics_.Error(from.at.place, "E0402",
                         fmt::format("{} does not say that it connects to {}", Quoted(from.value),
                                     Quoted(edge.listen->path)),
                         fmt::format("add the path to `network.unix.connect` of `{}`", from.value));
    }
  }

  void CheckClient(const ComponentPolicy& component, const Text& connect) {
    const auto edge = by_path_.find(connect.value);
    if (edge == by_path_.end()) {
      const auto meant = Nearest(connect.value, paths_);
      diagnostics_.Error(connect.at.place, "E0403",
                         fmt::format("no component listens on {}", Quoted(connect.value)),
                         meant ? fmt::format("did you mean `{}`?", *meant)
                               : "name a path of some `network.unix.listen`");
    } else if (!Names(edge->second.listen->from, component.name)) {
      diagnostics_.Error(
          connect.at.place, "E0403",
          fmt::format("{} does not accept {} on {}", Quoted(edge->second.server->name),
                      Quoted(component.name), Quoted(connect.value)),
          fmt::format("add `{}` to its `from`", component.name));
    }
  }

  const Policy& policy_;
  Diagnostics& diagnostics_;
  std::map<std::string, const ComponentPolicy*> by_name_;
  std::map<std::string, Edge> by_path_;
  std::vector<std::string_view> paths_;
};

}  // namespace

void CheckListeners(const Policy& policy, Diagnostics& diagnostics) {
  Unique paths("the socket", diagnostics);
  Unique ports("the port", diagnostics);
  Unique datagrams("the UDP port", diagnostics);
  Unique vsock_ports("the vsock port", diagnostics);
  for (const ComponentPolicy& component : policy.components) {
    for (const UnixListen& listen : component.network.unix_listen) {
      paths.Add(listen.path, listen.at.place);
    }
    for (const TcpListen& listen : component.network.tcp_listen) {
      if (listen.port != 0) ports.Add(std::to_string(listen.port), listen.at.place);
    }
    for (const TcpPort& bind : component.network.tcp_bind) {
      ports.Add(std::to_string(bind.port), bind.at.place);
    }
    for (const TcpPort& bind : component.network.udp_bind) {
      datagrams.Add(std::to_string(bind.port), bind.at.place);
    }
    for (const VsockListen& listen : component.network.vsock_listen) {
      if (listen.port != 0) vsock_ports.Add(std::to_string(listen.port), listen.at.place);
    }
    CheckHandedOver(policy, component, diagnostics);
  }
  CheckDirectories(policy, diagnostics);
}

void CheckEdges(const Policy& policy, Diagnostics& diagnostics) {
  EdgeChecker(policy, diagnostics).Check();
}

}  // namespace bulkhead
