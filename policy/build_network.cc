// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "policy/build.h"
#include "policy/scalars.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

uint16_t ToPort(std::string_view text) {
  return static_cast<uint16_t>(ParseInteger(text).value_or(0));
}

UnixListen BuildUnixListen(const Section& section, const Node& item, Diagnostics& diagnostics) {
  const std::string path = Section(&item, "").TextOf("path");
  const Section fields(&item, section.ItemAt("listen", item, path).id);
  UnixListen listen;
  listen.path = path;
  listen.name = fields.TextOf("name");
  listen.by_component = fields.TextOf("by") == "component";
  listen.nonblocking = fields.TextOf("nonblocking") == "true";
  listen.from = fields.Texts("from");
  listen.at = {fields.id(), item.place};
  if (!fields.Has("name") && !listen.by_component) {
    diagnostics.Error(item.place, "E0202", "`name` is missing",
                      "the program finds its listener by this name in LISTEN_FDNAMES");
  }
  for (const char* key : {"name", "nonblocking"}) {
    const Node* const value = fields.Get(key);
    if (value == nullptr || !listen.by_component) continue;
    diagnostics.Error(
        value->place, "E0421",
        "`" + std::string(key) + "` means nothing for a socket that the component makes itself",
        "take `" + std::string(key) + "` or `by: component` out");
  }
  return listen;
}

TcpListen BuildTcpListen(const Section& section, const Node& item) {
  const Section fields(&item, "");
  TcpListen listen;
  listen.address = fields.TextOf("address", "127.0.0.1");
  listen.port = ToPort(fields.TextOf("port"));
  listen.name = fields.TextOf("name");
  listen.nonblocking = fields.TextOf("nonblocking") == "true";
  listen.at = section.ItemAt("listen", item, fields.TextOf("port"));
  return listen;
}

std::vector<TcpPort> BuildPorts(const Section& section, std::string_view key) {
  std::vector<TcpPort> ports;
  for (const Node& item : section.Items(key)) {
    const std::string text =
        item.kind == NodeKind::kMap ? Section(&item, "").TextOf("port") : item.text;
    ports.push_back({ToPort(text), section.ItemAt(key, item, text)});
  }
  return ports;
}

}  // namespace

NetworkPolicy BuildNetwork(const Section& network, Diagnostics& diagnostics) {
  NetworkPolicy built;
  const Section local = network.Sub("unix");
  for (const Node& item : local.Items("listen")) {
    built.unix_listen.push_back(BuildUnixListen(local, item, diagnostics));
  }
  built.unix_connect = local.Texts("connect");
  const Section tcp = network.Sub("tcp");
  for (const Node& item : tcp.Items("listen")) {
    built.tcp_listen.push_back(BuildTcpListen(tcp, item));
  }
  built.tcp_bind = BuildPorts(tcp, "bind");
  built.tcp_connect = BuildPorts(tcp, "connect");
  return built;
}

}  // namespace bulkhead
