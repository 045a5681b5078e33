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

VsockListen BuildVsockListen(const Section& section, const Node& item) {
  const Section fields(&item, "");
  VsockListen listen;
  listen.port = static_cast<uint32_t>(ParseInteger(fields.TextOf("port")).value_or(0));
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

// An item is a port or a map.
Destination BuildDestination(const Section& section, std::string_view key, const Node& item) {
  const Section fields(&item, "");
  const bool map = item.kind == NodeKind::kMap;
  Destination to;
  to.address = map ? fields.TextOf("to") : "";
  const std::string port = map ? fields.TextOf("port") : item.text;
  to.port = ToPort(port);
  to.at = section.ItemAt(key, item, to.address.empty() ? port : to.address + ":" + port);
  return to;
}

// Where an address is stated the broker decides, else the port alone.
void BuildTcpConnect(const Section& tcp, NetworkPolicy& built) {
  for (const Node& item : tcp.Items("connect")) {
    Destination to = BuildDestination(tcp, "connect", item);
    if (to.address.empty()) {
      built.tcp_connect.push_back({static_cast<uint16_t>(to.port), to.at});
    } else {
      built.tcp_connect_to.push_back(std::move(to));
    }
  }
}

std::vector<Destination> BuildVsock(const Section& vsock) {
  std::vector<Destination> list;
  for (const Text& text : vsock.Texts("connect")) {
    const VsockAddress to = ParseVsockAddress(text.value).value_or(VsockAddress{});
    list.push_back({std::to_string(to.cid), to.port, text.at});
  }
  return list;
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
  const Section vsock = network.Sub("vsock");
  for (const Node& item : vsock.Items("listen")) {
    built.vsock_listen.push_back(BuildVsockListen(vsock, item));
  }
  built.tcp_bind = BuildPorts(tcp, "bind");
  BuildTcpConnect(tcp, built);
  const Section udp = network.Sub("udp");
  built.udp_bind = BuildPorts(udp, "bind");
  for (const Node& item : udp.Items("connect")) {
    built.udp_connect.push_back(BuildDestination(udp, "connect", item));
  }
  built.vsock_connect = BuildVsock(network.Sub("vsock"));
  return built;
}

}  // namespace bulkhead
