// SPDX-License-Identifier: Apache-2.0
#include "sandbox/spare_network.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <csignal>

#include "tests/sandbox/launch_run.h"

namespace bulkhead {
namespace {

ino_t Network(int fd = -1) {
  struct stat info {};
  const int result = fd < 0 ? stat("/proc/self/ns/net", &info) : fstat(fd, &info);
  return result == 0 ? info.st_ino : 0;
}

// Refuses one call, and those after it as the kernel answers them.
class FailsAt final : public Kernel {
 public:
  explicit FailsAt(int at) : at_(at) {}
  int calls() const { return calls_; }

 protected:
  long Call(long number, const long (&args)[6]) override {
    return calls_++ == at_ ? -EMFILE : RawCall(number, args);
  }
  long Spawning(long, const long (&)[6], const SpawnTarget&) override { return -ENOSYS; }

 private:
  int at_;
  int calls_ = 0;
};

BOOST_AUTO_TEST_SUITE(KernelSpareNetwork)

BOOST_AUTO_TEST_CASE(ItIsAnotherOneAndTheSupervisorIsBackInItsOwn) {
  if (!test::CanLaunch()) return;
  const ino_t before = Network();
  BOOST_REQUIRE(before != 0);
  FailsAt kernel(-1);
  SpareNetwork spare;
  BOOST_REQUIRE(spare.Make(kernel) == 0);
  const ino_t first = Network(spare.fd());
  BOOST_TEST(first != before);
  BOOST_TEST(Network() == before);
  BOOST_TEST((fcntl(spare.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  spare.Drop();
  BOOST_TEST(spare.fd() == -1);
}

BOOST_AUTO_TEST_CASE(WhateverFailsItIsBackOrEnds) {
  if (!test::CanLaunch()) return;
  const ino_t before = Network();
  FailsAt whole(-1);
  SpareNetwork spare;
  BOOST_REQUIRE(spare.Make(whole) == 0);
  const int last = whole.calls() - 1;  // the way back
  for (int at = 0; at < last; ++at) {
    FailsAt kernel(at);
    BOOST_TEST(spare.Make(kernel) == EMFILE);
    BOOST_TEST(spare.fd() == -1);
    BOOST_TEST(Network() == before);
  }
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    FailsAt kernel(last);
    SpareNetwork lost;
    lost.Make(kernel);
    _exit(0);
  }
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(WIFSIGNALED(status));
  BOOST_TEST(WTERMSIG(status) == SIGABRT);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
