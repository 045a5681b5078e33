// SPDX-License-Identifier: Apache-2.0
// Whether somebody listens, out of a table that may be long.
#include "engine/listen_table.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <string>

#include "tests/support/child.h"
#include "tests/support/init.h"

namespace bulkhead {
namespace {

BOOST_AUTO_TEST_SUITE(ListenTables)

BOOST_AUTO_TEST_CASE(ALineIsOfASocketThatListensByThatPath) {
  const std::string head = "Num       RefCount Protocol Flags    Type St Inode Path\n";
  const std::string begins = "0000000000000000: 00000002 00000000 ";
  const std::string listening = begins + "00010000 0001 01 12345 /run/a\n";
  BOOST_TEST(ListensOn(head + listening, "/run/a"));
  BOOST_TEST(!ListensOn(head + listening, "/run/b"));
  BOOST_TEST(!ListensOn(head + listening, "/run/"));
  BOOST_TEST(!ListensOn(head + begins + "00000000 0001 03 12345 /run/a\n", "/run/a"));
  BOOST_TEST(ListensOn(head + begins + "00010000 0001 01     7 /run/a b\n", "/run/a b"));
  BOOST_TEST(!ListensOn(head + begins + "00010000 0001 01 12345\n", ""));
  BOOST_TEST(!ListensOn("", "/run/a"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(KernelListenTables)

// In a network of its own: of many sockets one listens, which takes several looks to find, and of
// one that is only bound nobody says so, however often.
int LookInALongTable() {
  constexpr int kPairs = 480;
  const std::string path = "/tmp/bulkhead-listens-" + std::to_string(getpid());
  if (unshare(CLONE_NEWNET) != 0) return 10;
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  unlink(path.c_str());
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 11;
  int ends[2];
  for (int i = 0; i < kPairs; ++i) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 12;
  }
  ListenTable table;
  for (int i = 0; i < 20; ++i) {
    if (table.Look(getpid(), path)) return 13;
  }
  if (listen(fd, 1) != 0) return 14;
  int code = 15;
  for (int i = 0; i < 5 && code != 0; ++i) {
    if (table.Look(getpid(), path)) code = 0;
  }
  unlink(path.c_str());
  return code;
}

BOOST_AUTO_TEST_CASE(OneThatListensIsFoundAmongMany) {
  if (!test::CanConfine()) return;
  BOOST_TEST(test::ExitOf(LookInALongTable) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
