// SPDX-License-Identifier: Apache-2.0
// Ports, listeners, channels and edges on the running kernel: what is handed over works and carries
// the component's identity, what is not granted is refused.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "profiles/landlock.h"
#include "profiles/syscalls.h"
#include "tests/support/init.h"
#include "tests/support/sample.h"

namespace bulkhead {
namespace {

using test::Init;
using test::TempDirectory;

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct NetworkFixture {
  NetworkFixture() { BOOST_REQUIRE_MESSAGE(test::CanConfine(), "needs root"); }

  // A listening TCP socket of the test's own on loopback; its port.
  uint16_t Listen() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    BOOST_REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    BOOST_REQUIRE(listen(fd, 8) == 0);
    BOOST_REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    sockets.push_back(fd);
    return ntohs(address.sin_port);
  }
  ~NetworkFixture() {
    for (const int fd : sockets) close(fd);
  }

  TempDirectory directory;
  std::vector<int> sockets;
};

void Allow(Filter& filter, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const uint32_t nr = SyscallNumber(NativeArch(), name).value();
    filter.insert(filter.end() - 1, {{kJumpEqual, 0, 1, nr}, {kReturn, 0, 0, kRetAllow}});
  }
}

ProfileData Python(const std::string& name, uint32_t number, const std::string& script) {
  ProfileData profile = test::SampleProfile(name, number);
  profile.argv = {"/usr/bin/python3", "-I", "-S", "-c", script};
  profile.lifecycle.restart = RestartWhen::kNever;
  Allow(profile.filter,
        {"socket",     "connect",          "bind",        "listen",      "accept4",
         "getsockopt", "setsockopt",       "getsockname", "getpeername", "sendto",
         "recvfrom",   "sendmsg",          "recvmsg",     "sigaltstack", "epoll_create1",
         "dup3",       "readlinkat",       "mremap",      "madvise",     "lstat",
         "getrusage",  "sched_getaffinity"});
  return profile;
}

BundleData Of(std::vector<ProfileData> components) {
  BundleData data = test::SampleBundle();
  data.enclave = "network-test";
  data.requirements.clear();
  data.channels.clear();
  data.assets.clear();
  data.components = std::move(components);
  return data;
}

BOOST_FIXTURE_TEST_SUITE(KernelNetwork, NetworkFixture)

BOOST_AUTO_TEST_CASE(LandlockTellsPortsApart) {
  const uint16_t granted = Listen();
  const uint16_t other = Listen();
  const std::string ports = std::to_string(granted) + "," + std::to_string(other);
  ProfileData profile = Python("one", 1,
                               "import socket\n"
                               "for p in [" +
                                   ports +
                                   "]:\n"
                                   "  s = socket.socket()\n"
                                   "  print(p, s.connect_ex(('127.0.0.1', p)), flush=True)\n");
  profile.network = Network::kShared;
  profile.landlock.ports = {{granted, landlock::kConnectTcp, "components.one.network.tcp.connect"}};
  Init init(directory, Of({profile}));
  init.Wait();
  BOOST_TEST(Contains(init.Output(), std::to_string(granted) + " 0"), init.Output());
  BOOST_TEST(Contains(init.Output(), std::to_string(other) + " 13"), init.Output());
  BOOST_TEST(Contains(init.Audit(), "net.connect_tcp"), init.Audit());
}

BOOST_AUTO_TEST_CASE(WithoutTheNetworkNothingIsReached) {
  const uint16_t port = Listen();
  ProfileData profile = Python("one", 1,
                               "import socket\ns = socket.socket()\n"
                               "print('errno', s.connect_ex(('127.0.0.1', " +
                                   std::to_string(port) + ")), flush=True)\n");
  // Landlock out of the way: the empty namespace alone must do.
  profile.landlock.handled_net = 0;
  Init init(directory, Of({profile}));
  init.Wait();
  BOOST_TEST(Contains(init.Output(), "errno 101"), init.Output());  // ENETUNREACH
}

BOOST_AUTO_TEST_CASE(ChannelEndsNameTheirComponents) {
  const std::string peer =
      "import os, socket, struct\n"
      "assert os.environ['LISTEN_PID'] == str(os.getpid())\n"
      "assert os.environ['LISTEN_FDNAMES'] == 'pair', os.environ\n"
      "s = socket.socket(fileno=3)\n"
      "peer = struct.unpack('3i', s.getsockopt(1, 17, 12))\n"
      "print('peer uid', peer[1], flush=True)\n";
  ProfileData one = Python("one", 1, peer + "s.sendall(b'hello')\nprint(s.recv(8))\n");
  ProfileData two = Python("two", 2, peer + "print(s.recv(8), flush=True)\ns.sendall(b'back')\n");
  BundleData data = Of({one, two});
  data.channels = {{"pair", "one", "two", ChannelKind::kStream, 0, "channels.pair"}};
  Init init(directory, data);
  init.Wait();
  const std::string output = init.Output();
  BOOST_TEST(Contains(output, "one | peer uid 268435458"), output);
  BOOST_TEST(Contains(output, "two | peer uid 268435457"), output);
  BOOST_TEST(Contains(output, "two | b'hello'"), output);
  BOOST_TEST(Contains(output, "one | b'back'"), output);
}

// The supervisor binds, the component listens: whoever connects sees the component, not root.
BOOST_AUTO_TEST_CASE(AHandedOverListenerIsTheComponents) {
  const std::string edge = directory.File("edge");
  const std::string socket = edge + "/s.sock";
  ProfileData server = Python("one", 1,
                              "import socket\ns = socket.socket(fileno=3)\n"
                              "c, _ = s.accept()\nc.sendall(b'served')\n");
  server.groups = {0x20000001};
  server.edges = {{edge, 0x20000001, false, "components.one.network.unix.listen"}};
  server.listeners = {{"s", ListenerKind::kUnixStream, socket, "", 0, false, false, "r"}};
  ProfileData client =
      Python("two", 2,
             "import socket, struct\ns = socket.socket(socket.AF_UNIX)\n"
             "s.connect('" +
                 socket +
                 "')\n"
                 "print('peer uid', struct.unpack('3i', s.getsockopt(1, 17, 12))[1])\n"
                 "print(s.recv(9), flush=True)\n");
  client.groups = {0x20000001};
  client.edges = server.edges;
  client.lifecycle.after = {"one"};
  for (ProfileData* profile : {&server, &client}) {
    profile->view.push_back({.path = edge, .kind = ViewKind::kEdge, .rule = "r"});
    std::sort(profile->view.begin(), profile->view.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
  }
  // /tmp is a tmpfs of each one's own; the edge lies beneath it.
  Init init(directory, Of({server, client}));
  init.Wait();
  BOOST_TEST(Contains(init.Output(), "two | peer uid 268435457"), init.Output());
  BOOST_TEST(Contains(init.Output(), "two | b'served'"), init.Output());
}

// The flag belongs to the open socket, which outlives a run: each start finds what the policy says.
BOOST_AUTO_TEST_CASE(AListenerHasItsModeAtEveryStart) {
  for (const bool nonblocking : {false, true}) {
    const TempDirectory own;
    ProfileData one =
        Python("one", 1,
               "import fcntl, os, sys\nflags = fcntl.fcntl(3, 3)\n"
               "print('nonblocking', bool(flags & os.O_NONBLOCK), flush=True)\n"
               "fcntl.fcntl(3, 4, flags ^ (os.O_NONBLOCK | os.O_APPEND))\nsys.exit(1)\n");
    const std::string edge = own.File("edge");
    one.groups = {0x20000001};
    one.edges = {{edge, 0x20000001, true, "r"}};
    one.listeners = {
        {"s", ListenerKind::kUnixStream, edge + "/s.sock", "", 0, nonblocking, false, "r"}};
    one.lifecycle.restart = RestartWhen::kOnFailure;
    one.lifecycle.restart_at_most = 2;
    one.lifecycle.restart_within_ms = 60000;
    one.view.push_back({.path = edge, .kind = ViewKind::kEdge, .rule = "r"});
    std::sort(one.view.begin(), one.view.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    Init init(own, Of({one}));
    BOOST_TEST(init.Wait() == 1, init.Output());
    const std::string line =
        std::string("one | nonblocking ") + (nonblocking ? "True" : "False") + "\n";
    size_t found = 0;
    for (size_t at = 0; (at = init.Output().find(line, at)) != std::string::npos; ++at) ++found;
    BOOST_TEST(found == 3U, init.Output());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
