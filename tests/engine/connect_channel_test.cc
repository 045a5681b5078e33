// SPDX-License-Identifier: Apache-2.0
// Connections that are handed over: whom the server sees, and what stands in the socket's place.
#include "engine/connect_channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <cstring>
#include <vector>

#include "engine/act_as.h"
#include "tests/support/init.h"
#include "tests/support/sample.h"

namespace bulkhead {
namespace {

Profile Made(const std::string& name, uint32_t number, std::vector<uint32_t> groups = {}) {
  ProfileData data = test::SampleProfile(name, number);
  data.groups = std::move(groups);
  auto made = Profile::Make(std::move(data));
  BOOST_REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error()));
  return *made;
}

struct ConnectFixture {
  ConnectFixture() {
    BOOST_REQUIRE_MESSAGE(test::CanConfine(), "needs root");
    // As main() does.
    BOOST_REQUIRE(setgroups(0, nullptr) == 0);
    chmod(directory.File("").c_str(), 0700);
  }

  // A socket that nobody but root finds, on which `who` listens.
  Fd Listen(const Profile& who, int backlog = 8) {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    BOOST_REQUIRE(channel.path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, channel.path.c_str(), channel.path.size());
    BOOST_REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const ActAs as_server(who);
    BOOST_REQUIRE(listen(fd.get(), backlog) == 0);
    return fd;
  }

  int ErrorOf() {
    const auto fd = ConnectChannel(channel, client, server);
    return fd ? 0 : fd.error().error;
  }

  test::TempDirectory directory;
  Profile client = Made("client", 1, {0x20000001, 0x20000002});
  Profile server = Made("server", 2);
  Channel channel{
      "c", "client", "server", ChannelKind::kConnected, 0, "r", directory.File("socket")};
};

ucred PeerOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  BOOST_REQUIRE(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0);
  return peer;
}

std::vector<gid_t> GroupsOf(int fd) {
  std::vector<gid_t> groups(8);
  auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  BOOST_REQUIRE(getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0);
  groups.resize(size / sizeof(gid_t));
  return groups;
}

BOOST_FIXTURE_TEST_SUITE(KernelConnectChannel, ConnectFixture)

BOOST_AUTO_TEST_CASE(TheServerSeesTheClient) {
  const Fd listener = Listen(server);
  const auto fd = ConnectChannel(channel, client, server);
  BOOST_REQUIRE(fd.has_value());
  BOOST_TEST((fcntl(fd->get(), F_GETFL) & O_NONBLOCK) == 0);
  BOOST_TEST(PeerOf(fd->get()).uid == server->uid);
  const Fd accepted(accept(listener.get(), nullptr, nullptr));
  BOOST_TEST(PeerOf(accepted.get()).uid == client->uid);
  BOOST_TEST(PeerOf(accepted.get()).gid == client->gid);
  BOOST_TEST(GroupsOf(accepted.get()) == client->groups);
  // And we are ourselves again.
  BOOST_TEST(geteuid() == 0U);
  BOOST_TEST(getegid() == 0U);
  BOOST_TEST(getgroups(0, nullptr) == 0);
  BOOST_TEST(setfsuid(static_cast<uid_t>(-1)) == 0);
}

BOOST_AUTO_TEST_CASE(OrItselfWhereThePolicySaysSo) {
  const Fd listener = Listen(server);
  channel.as_server = true;
  const auto fd = ConnectChannel(channel, client, server);
  BOOST_REQUIRE(fd.has_value());
  const Fd accepted(accept(listener.get(), nullptr, nullptr));
  BOOST_TEST(PeerOf(accepted.get()).uid == server->uid);
  BOOST_TEST(GroupsOf(accepted.get()).empty());
}

BOOST_AUTO_TEST_CASE(NobodyElseIsConnectedTo) {
  const Fd listener = Listen(Made("stranger", 3));
  BOOST_TEST(ErrorOf() == EPERM);
  BOOST_TEST(geteuid() == 0U);
}

BOOST_AUTO_TEST_CASE(RootIsNotTheServerEither) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, channel.path.c_str(), channel.path.size());
  BOOST_REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  BOOST_TEST(ErrorOf() == ECONNREFUSED);
  BOOST_REQUIRE(listen(fd.get(), 8) == 0);
  BOOST_TEST(ErrorOf() == EPERM);
}

BOOST_AUTO_TEST_CASE(WhatStandsInItsPlaceIsNotFollowed) {
  BOOST_TEST(ErrorOf() == ENOENT);
  const std::string socket = channel.path;
  channel.path = directory.File("elsewhere");
  const Fd listener = Listen(server);
  BOOST_TEST(ErrorOf() == 0);
  BOOST_REQUIRE(symlink(channel.path.c_str(), socket.c_str()) == 0);
  channel.path = socket;
  BOOST_TEST(ErrorOf() != 0);
  BOOST_REQUIRE(unlink(socket.c_str()) == 0);
  BOOST_REQUIRE(mkfifo(socket.c_str(), 0600) == 0);
  BOOST_TEST(ErrorOf() == ENOTSOCK);
}

// It would wait for the server for ever.
BOOST_AUTO_TEST_CASE(AFullQueueIsNotWaitedFor) {
  const Fd listener = Listen(server, 0);
  std::vector<Fd> held;
  int error = 0;
  for (int i = 0; i < 8 && error == 0; ++i) {
    auto fd = ConnectChannel(channel, client, server);
    if (fd) held.push_back(std::move(*fd));
    if (!fd) error = fd.error().error;
  }
  BOOST_TEST(held.size() >= 1U);
  BOOST_TEST(error == EAGAIN);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
