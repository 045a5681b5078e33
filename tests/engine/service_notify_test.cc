// SPDX-License-Identifier: Apache-2.0
#include "engine/service_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>

#include "tests/support/init.h"

namespace bulkhead {
namespace {

// What a service manager holds: datagrams come in, none is waited for.
struct Manager {
  explicit Manager(const std::string& abstract = {})
      : name(abstract.empty() ? directory.File("notify") : abstract) {
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    BOOST_REQUIRE(bind(datagrams.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  }

  // The next datagram; empty: there is none.
  std::string Next() const {
    std::array<char, 4096> bytes{};
    const ssize_t size = recv(datagrams.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return size <= 0 ? std::string() : std::string(bytes.data(), static_cast<size_t>(size));
  }

  test::TempDirectory directory;
  std::string name;
  sockaddr_un address{};
  Fd datagrams{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

ServiceNotify For(const Manager& manager, int pid = 77) {
  return {pid, manager.name.c_str(), nullptr, nullptr};
}

BOOST_AUTO_TEST_SUITE(ServiceNotifies)

BOOST_AUTO_TEST_CASE(AddressesOfTheProtocol) {
  BOOST_TEST(NotifyAddress("/run/systemd/notify") == "/run/systemd/notify");
  BOOST_TEST(NotifyAddress("@/org/x") == "@/org/x");
  for (const char* other : {"", "/", "@", "notify", "vsock:2:1234", "./notify"}) {
    BOOST_TEST(NotifyAddress(other).empty(), other);
  }
  BOOST_TEST(NotifyAddress(nullptr).empty());
  BOOST_TEST(NotifyAddress(("/" + std::string(106, 'x')).c_str()).size() == 107U);
  BOOST_TEST(NotifyAddress(("/" + std::string(107, 'x')).c_str()).empty());
}

BOOST_AUTO_TEST_CASE(EachIsSaidOnce) {
  const Manager manager;
  ServiceNotify notify = For(manager);
  notify.Status("1 of 2");
  notify.Status("1 of 2");
  notify.Status("2 of 2");
  notify.Ready();
  notify.Ready();
  notify.Tick();
  notify.Stopping();
  notify.Stopping();
  notify.Ready();
  for (const char* said : {"STATUS=1 of 2\n", "STATUS=2 of 2\n", "READY=1\n", "STOPPING=1\n", ""}) {
    BOOST_TEST(manager.Next() == said);
  }
}

BOOST_AUTO_TEST_CASE(AnAbstractSocketIsOne) {
  const Manager manager("@bulkhead-test-" + std::to_string(getpid()));
  For(manager).Ready();
  BOOST_TEST(manager.Next() == "READY=1\n");
}

BOOST_AUTO_TEST_CASE(AsTheFirstProcessThereIsNoManager) {
  const Manager manager;
  ServiceNotify first(1, manager.name.c_str(), "1000000", nullptr);
  first.Ready();
  first.Tick();
  BOOST_TEST(!first.watched());
  BOOST_TEST(manager.Next().empty());
  For(manager, 2).Ready();
  BOOST_TEST(manager.Next() == "READY=1\n");
}

BOOST_AUTO_TEST_CASE(TheWatchdogIsOurs) {
  const Manager manager;
  const char* const name = manager.name.c_str();
  BOOST_TEST(!ServiceNotify(77, name, nullptr, nullptr).watched());
  BOOST_TEST(!ServiceNotify(77, name, "0", nullptr).watched());
  BOOST_TEST(!ServiceNotify(77, name, "1000", "78").watched());
  BOOST_TEST(ServiceNotify(77, name, "1000", "77").watched());
  ServiceNotify notify(77, name, "1000", nullptr);
  notify.Tick();
  notify.Tick();
  BOOST_TEST(manager.Next() == "WATCHDOG=1\n");
  BOOST_TEST(manager.Next() == "WATCHDOG=1\n");
  BOOST_TEST(manager.Next().empty());
}

BOOST_AUTO_TEST_CASE(AFullQueueIsNotWaitedForAndNothingIsLost) {
  const Manager manager;
  ServiceNotify notify = For(manager);
  int sent = 0;
  // net.unix.max_dgram_qlen is 10 by default, and the sender's buffer has an end in any case.
  for (; sent < 20000; ++sent) notify.Status("line " + std::to_string(sent));
  notify.Ready();
  std::string last;
  while (true) {
    const std::string next = manager.Next();
    if (next.empty()) break;
    last = next;
  }
  BOOST_TEST(last.find("READY") == std::string::npos);
  notify.Tick();
  // The latest line of each kind, in one datagram.
  BOOST_TEST(manager.Next() == "STATUS=line 19999\nREADY=1\n");
  notify.Tick();
  BOOST_TEST(manager.Next().empty());
}

BOOST_AUTO_TEST_CASE(AManagerThatIsGoneIsNobodysLoss) {
  ServiceNotify notify(77, "/run/no/such/socket", nullptr, nullptr);
  notify.Ready();
  notify.Tick();
  ServiceNotify none;
  none.Ready();
  none.Status("x");
  none.Tick();
  BOOST_TEST(!none.watched());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
