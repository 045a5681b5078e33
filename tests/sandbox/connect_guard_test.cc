// SPDX-License-Identifier: Apache-2.0
#include "sandbox/connect_guard.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <memory>

#include "sandbox/cgroup_mounts.h"

namespace bulkhead {
namespace {

constexpr uid_t kComponent = 0x10000001;

struct Socket {
  explicit Socket(int number) : fd(number) { BOOST_REQUIRE(fd >= 0); }
  Socket(const Socket&) = delete;
  ~Socket() { close(fd); }
  int fd;
};

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int Bind(int fd) {
  const sockaddr_in any = Loopback(0);
  return bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0 ? 0 : errno;
}

uint16_t PortOf(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  BOOST_REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

int Connect(int fd, uint16_t port) {
  const sockaddr_in to = Loopback(port);
  return connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
}

int Dissolve(int fd) {
  const sockaddr none{AF_UNSPEC, {}};
  return connect(fd, &none, sizeof none) == 0 ? 0 : errno;
}

// What a component can do with a listener of this kind, while somebody else listens at `decoy`:
// the errno of connecting it, and of connecting a socket that it accepted.
struct Turned {
  int listener = -1;
  int accepted = -1;
};

Turned TurnIntoClient(int fd, uint16_t decoy) {
  BOOST_REQUIRE(Bind(fd) == 0);
  BOOST_REQUIRE(listen(fd, 4) == 0);
  const Socket client(socket(AF_INET, SOCK_STREAM, 0));
  BOOST_REQUIRE(Connect(client.fd, PortOf(fd)) == 0);
  const Socket accepted(accept(fd, nullptr, nullptr));
  Turned turned;
  BOOST_REQUIRE(Dissolve(accepted.fd) == 0);
  turned.accepted = Connect(accepted.fd, decoy);
  BOOST_REQUIRE(shutdown(fd, SHUT_RDWR) == 0);
  turned.listener = Connect(fd, decoy);
  return turned;
}

BOOST_AUTO_TEST_SUITE(KernelConnectGuard)

BOOST_AUTO_TEST_CASE(AListenerThatWasMadeUnderItBecomesNoClient) {
  const Socket decoy(socket(AF_INET, SOCK_STREAM, 0));
  BOOST_REQUIRE(Bind(decoy.fd) == 0);
  BOOST_REQUIRE(listen(decoy.fd, 4) == 0);
  const uint16_t port = PortOf(decoy.fd);
  // Linux 6.18.44 connects no listener any more by itself.
  bool closed = false;
  {
    const Socket plain(socket(AF_INET, SOCK_STREAM, 0));
    const Turned turned = TurnIntoClient(plain.fd, port);
    closed = turned.listener == EINVAL;
    BOOST_TEST((turned.listener == 0 || closed));
    BOOST_TEST(turned.accepted == 0);
  }
  const auto guard = ConnectGuard::Open("guard-test");
  BOOST_REQUIRE(guard);
  const auto made = guard->MakeSocket(AF_INET, SOCK_STREAM);
  BOOST_REQUIRE(made);
  const Socket guarded(*made);
  const Turned turned = TurnIntoClient(guarded.fd, port);
  BOOST_TEST((turned.listener == EPERM || (closed && turned.listener == EINVAL)));
  BOOST_TEST(turned.accepted == EPERM);
}

BOOST_AUTO_TEST_CASE(OnlyRootBinds) {
  const auto guard = ConnectGuard::Open("guard-test");
  BOOST_REQUIRE(guard);
  for (const uid_t uid : {0U, kComponent}) {
    const auto made = guard->MakeSocket(AF_INET, SOCK_STREAM);
    BOOST_REQUIRE(made);
    const Socket guarded(*made);
    const Socket plain(socket(AF_INET, SOCK_STREAM, 0));
    const pid_t child = fork();
    if (child == 0) {
      if (setresuid(uid, uid, uid) != 0) _exit(100);
      if (Bind(plain.fd) != 0) _exit(101);
      _exit(Bind(guarded.fd));
    }
    int status = 0;
    BOOST_REQUIRE(waitpid(child, &status, 0) == child);
    BOOST_TEST(WEXITSTATUS(status) == (uid == 0 ? 0 : EPERM));
  }
}

BOOST_AUTO_TEST_CASE(SocketsStayGuardedWhenTheGuardIsGone) {
  auto guard = std::make_unique<ConnectGuard>(std::move(*ConnectGuard::Open("guard-test")));
  const auto made = guard->MakeSocket(AF_INET, SOCK_STREAM);
  BOOST_REQUIRE(made);
  const Socket guarded(*made);
  guard.reset();
  struct stat info {};
  const std::string directory = FindUnifiedCgroup() + "/bulkhead-guard-test-sockets";
  BOOST_TEST(stat(directory.c_str(), &info) != 0);
  BOOST_TEST(Connect(guarded.fd, 1) == EPERM);
}

BOOST_AUTO_TEST_CASE(OneThatWasLeftIsTakenOver) {
  const std::string directory = FindUnifiedCgroup() + "/bulkhead-guard-test-sockets";
  BOOST_REQUIRE(mkdir(directory.c_str(), 0755) == 0);
  const auto guard = ConnectGuard::Open("guard-test");
  BOOST_REQUIRE(guard);
  const auto made = guard->MakeSocket(AF_INET, SOCK_STREAM);
  BOOST_REQUIRE(made);
  const Socket guarded(*made);
  BOOST_TEST(Connect(guarded.fd, 1) == EPERM);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
