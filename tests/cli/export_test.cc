// SPDX-License-Identifier: Apache-2.0
// export, as a user runs it, and its BPF as this kernel runs it.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "tests/cli/support.h"

namespace bulkhead {
namespace {

using test::Bulkhead;

struct Fixture {
  test::TemporaryDirectory directory;
  std::string bundle = directory / "small.bundle";
  std::string file = directory / "hello.out";

  Fixture() {
    const std::string policy = directory / "small.yaml";
    test::WriteText(policy, test::SmallPolicy());
    BOOST_REQUIRE(Bulkhead({"compile", policy, "-o", bundle}).exit == 0);
  }

  test::Outcome Export(const std::string& format, const std::vector<std::string>& options = {}) {
    std::vector<std::string> words{"export", format, bundle, "hello", "-o", file};
    words.insert(words.end(), options.begin(), options.end());
    return Bulkhead(words);
  }
};

int ErrnoOf(long result) { return result < 0 ? errno : 0; }

// Made under the filter: bit by bit what was not as it should be.
int Try() {
  int wrong = 0;
  if (ErrnoOf(syscall(SYS_getppid)) != 0) wrong |= 1;
  if (ErrnoOf(syscall(SYS_socket, 1, 1, 0)) != EPERM) wrong |= 2;
  if (ErrnoOf(syscall(SYS_clone3, 0, 0)) != ENOSYS) wrong |= 4;
  if (ErrnoOf(syscall(SYS_ioctl, -1, 0x5413, 0)) != EBADF) wrong |= 8;   // TIOCGWINSZ is allowed
  if (ErrnoOf(syscall(SYS_ioctl, -1, 0x5412, 0)) != EPERM) wrong |= 16;  // TIOCSTI is not
  return wrong;
}

// The wait status of a child that loads the filter, then does `what`.
int UnderFilter(const std::string& path, int (*what)()) {
  std::string bytes = test::ReadText(path);
  sock_fprog program{static_cast<unsigned short>(bytes.size() / sizeof(sock_filter)),
                     reinterpret_cast<sock_filter*>(bytes.data())};
  const pid_t child = fork();
  if (child == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(100);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(101);
    _exit(what());
  }
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}

int Execute() {
  execl("/bin/true", "true", nullptr);
  return errno;
}

BOOST_FIXTURE_TEST_SUITE(Export, Fixture)

BOOST_AUTO_TEST_CASE(TheKernelRunsTheFilter) {
  BOOST_REQUIRE(Export("bpf", {"--refuse", "errno"}).exit == 0);
  const int status = UnderFilter(file, Try);
  BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0), "wait status " << status);
}

BOOST_AUTO_TEST_CASE(WithoutAListenerTheKernelAnswersEnosys) {
  BOOST_REQUIRE(Export("bpf").exit == 0);
  const int status =
      UnderFilter(file, [] { return ErrnoOf(syscall(SYS_socket, 1, 1, 0)) == ENOSYS ? 0 : 1; });
  BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0), "wait status " << status);
}

BOOST_AUTO_TEST_CASE(KillEndsTheProcess) {
  BOOST_REQUIRE(Export("bpf", {"--refuse", "kill"}).exit == 0);
  const int status = UnderFilter(file, [] { return ErrnoOf(syscall(SYS_socket, 1, 1, 0)); });
  BOOST_TEST((WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS), "wait status " << status);
  const int spared =
      UnderFilter(file, [] { return ErrnoOf(syscall(SYS_clone3, 0, 0)) == ENOSYS ? 0 : 1; });
  BOOST_TEST((WIFEXITED(spared) && WEXITSTATUS(spared) == 0), "wait status " << spared);
}

BOOST_AUTO_TEST_CASE(ALauncherNeedsExecve) {
  const auto as_is = Export("bpf", {"--refuse", "errno"});
  BOOST_TEST(as_is.err.find("execve is refused") != std::string::npos, as_is.err);
  BOOST_TEST(WEXITSTATUS(UnderFilter(file, Execute)) == EPERM);
  const auto allowed = Export("bpf", {"--refuse", "errno", "--execve", "allow"});
  BOOST_TEST(allowed.err == "");
  BOOST_TEST(UnderFilter(file, Execute) == 0);
}

BOOST_AUTO_TEST_CASE(AnOciProfile) {
  const auto run = Export("oci-seccomp", {"--execve", "allow"});
  BOOST_TEST(run.exit == 0, run.err);
  const auto profile = test::Parsed(test::ReadText(file));
  BOOST_TEST(profile["defaultAction"] == "SCMP_ACT_ERRNO");
  BOOST_TEST(profile["architectures"].dump() == "[\"SCMP_ARCH_X86_64\"]");
  BOOST_TEST(profile["syscalls"].back()["errnoRet"] == 38);
  BOOST_REQUIRE(Export("oci-seccomp", {"--refuse", "kill"}).exit == 0);
  BOOST_TEST(test::Parsed(test::ReadText(file))["defaultAction"] == "SCMP_ACT_KILL_PROCESS");
}

BOOST_AUTO_TEST_CASE(Mistakes) {
  BOOST_TEST(Bulkhead({"export", "bpf", bundle, "hallo", "-o", file}).exit == 2);
  BOOST_TEST(Bulkhead({"export", "bpf", directory / "none", "hello", "-o", file}).exit == 3);
  BOOST_TEST(Bulkhead({"export", "bpf", bundle, "hello", "-o", directory / "no/file"}).exit == 3);
  BOOST_TEST(Bulkhead({"export", "bpf", bundle, "hello"}).exit == 2);
  BOOST_TEST(Export("oci-seccomp", {"--refuse", "notify"}).exit == 2);
  BOOST_TEST(!std::filesystem::exists(file));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
