// SPDX-License-Identifier: Apache-2.0
// The older ways, on the running kernel: an exec that a tracer lets pass, descriptors closed one by
// one, a /proc that is covered.
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <csignal>
#include <string>

#include "sandbox/descriptors.h"
#include "sandbox/directory.h"
#include "sandbox/launch_trace.h"
#include "sandbox/view.h"
#include "tests/support/child.h"

namespace bulkhead {
namespace {

bool AskAbout(unsigned call) {
  sock_filter ask[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                       {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, call},
                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE},
                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const sock_fprog program = {4, ask};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

pid_t Start(int (*body)()) {
  const pid_t child = fork();
  if (child == 0) {
    RealKernel kernel;
    _exit(StopForTracer(kernel) < 0 ? 50 : body());
  }
  return child;
}

int EndOf(pid_t child) {
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

BOOST_AUTO_TEST_SUITE(LaunchTrace)

BOOST_AUTO_TEST_CASE(OneExecPassesAndNoOther) {
  const pid_t child = Start([] {
    if (!AskAbout(SYS_execve)) return 51;
    execl("/bin/sh", "sh", "-c", "/bin/true 2>/dev/null; exit $?", nullptr);
    return 52;
  });
  RealKernel kernel;
  int status = 0;
  Failure failure;
  BOOST_REQUIRE((TraceUntilExec(kernel, child, status, failure) == Traced::kAtExec));
  BOOST_TEST(LetGo(kernel, child) == 0);
  BOOST_TEST(EndOf(child) == 126);  // the shell ran, /bin/true did not
}

BOOST_AUTO_TEST_CASE(WithoutAFilterTheSameProgramsRun) {
  const pid_t child = Start([] {
    if (!AskAbout(SYS_getppid)) return 51;
    getppid();
    execl("/bin/sh", "sh", "-c", "/bin/true 2>/dev/null; exit $?", nullptr);
    return 52;
  });
  RealKernel kernel;
  int status = 0;
  Failure failure;
  BOOST_REQUIRE((TraceUntilExec(kernel, child, status, failure) == Traced::kAtExec));
  BOOST_TEST(LetGo(kernel, child) == 0);
  BOOST_TEST(EndOf(child) == 0);
}

BOOST_AUTO_TEST_CASE(WhoEndsBeforeTheExecIsReaped) {
  const pid_t exits = Start([] { return 7; });
  RealKernel kernel;
  int status = 0;
  Failure failure;
  BOOST_REQUIRE((TraceUntilExec(kernel, exits, status, failure) == Traced::kEnded));
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 7);
  BOOST_TEST(waitpid(exits, &status, 0) == -1);
  const pid_t killed = Start([] {
    raise(SIGUSR1);  // passed on by the tracer
    return 8;
  });
  BOOST_REQUIRE((TraceUntilExec(kernel, killed, status, failure) == Traced::kEnded));
  BOOST_TEST(WIFSIGNALED(status));
  BOOST_TEST(WTERMSIG(status) == SIGUSR1);
}

BOOST_AUTO_TEST_CASE(WhoIsKilledAtItsExecIsNoFailure) {
  const pid_t child = Start([] {
    if (!AskAbout(SYS_execve)) return 51;
    execl("/bin/true", "true", nullptr);
    return 52;
  });
  RealKernel kernel;
  int status = 0;
  Failure failure;
  BOOST_REQUIRE((TraceUntilExec(kernel, child, status, failure) == Traced::kAtExec));
  BOOST_REQUIRE(kill(child, SIGKILL) == 0);
  BOOST_TEST(LetGo(kernel, child) == 0);
  BOOST_TEST(EndOf(child) == -SIGKILL);
}

// Nobody traces what it starts, so that never passes. A stop on the way stays one after the leave.
BOOST_AUTO_TEST_CASE(WhatItStartsBeforeTheExecHasNoTracer) {
  const pid_t child = Start([] {
    if (!AskAbout(SYS_execve)) return 51;
    const pid_t other = fork();
    if (other == 0) {
      execl("/bin/true", "true", nullptr);
      _exit(errno);
    }
    int ended = 0;
    if (waitpid(other, &ended, 0) != other || !WIFEXITED(ended)) return 53;
    if (WEXITSTATUS(ended) != ENOSYS) return 54;
    raise(SIGSTOP);
    execl("/bin/true", "true", nullptr);
    return 52;
  });
  RealKernel kernel;
  int status = 0;
  Failure failure;
  BOOST_REQUIRE((TraceUntilExec(kernel, child, status, failure) == Traced::kAtExec));
  BOOST_TEST(LetGo(kernel, child) == 0);
  BOOST_REQUIRE(waitpid(child, &status, WUNTRACED) == child);
  BOOST_TEST(WIFSTOPPED(status));
  BOOST_REQUIRE(kill(child, SIGCONT) == 0);
  BOOST_TEST(EndOf(child) == 0);
}

// Traced or not, a process whose tracer dies before its exec never gets there.
BOOST_AUTO_TEST_CASE(TheTracersDeathIsTheEnd) {
  int ends[2];
  BOOST_REQUIRE(pipe(ends) == 0);
  const int code = test::ExitOf([&] {
    const pid_t child = fork();
    RealKernel kernel;
    if (child == 0) {
      close(ends[0]);
      if (StopForTracer(kernel) < 0 || !AskAbout(SYS_execve)) return 50;
      execl("/bin/sleep", "sleep", "60", nullptr);
      return 51;
    }
    int status = 0;
    Failure failure;
    return TraceUntilExec(kernel, child, status, failure) == Traced::kAtExec ? 0 : 1;
  });
  BOOST_TEST(code == 0);
  close(ends[1]);
  char byte = 0;
  BOOST_TEST(read(ends[0], &byte, 1) == 0);  // it is dead: the write end is closed
  close(ends[0]);
}

BOOST_AUTO_TEST_CASE(NobodyToTraceIsAFailure) {
  RealKernel kernel;
  int status = 0;
  Failure failure;
  BOOST_TEST((TraceUntilExec(kernel, getpid(), status, failure) == Traced::kFailed));
  BOOST_TEST((failure.step == Step::kTrace));
  BOOST_TEST(failure.error == ECHILD);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(Descriptors)

// One stands above the limit of its number, as one that was opened before the limit was lowered.
BOOST_AUTO_TEST_CASE(AllFromTheFirstOnAreClosedEitherWay) {
  for (const bool close_range : {false, true}) {
    const int code = test::ExitOf([&] {
      for (const int fd : {20, 21, 22, 200, 900}) {
        if (dup2(STDERR_FILENO, fd) != fd) return 10;
      }
      const rlimit low = {100, 100};
      if (setrlimit(RLIMIT_NOFILE, &low) != 0) return 11;
      RealKernel kernel;
      if (CloseFrom(kernel, 21, close_range) != 0) return 12;
      for (int fd = 21; fd < 1024; ++fd) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) return 13;
      }
      return fcntl(20, F_GETFD) == -1 ? 14 : 0;
    });
    BOOST_TEST(code == 0, "close_range " << close_range);
  }
}

// More than one reading of the directory holds.
BOOST_AUTO_TEST_CASE(ManyAreClosedOneByOne) {
  const int code = test::ExitOf([] {
    rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 10;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 11;
    for (int fd = 100; fd < 1000; ++fd) {
      if (dup2(STDERR_FILENO, fd) != fd) return 12;
    }
    RealKernel kernel;
    if (CloseFrom(kernel, 3, false) != 0) return 13;
    for (int fd = 3; fd < 1000; ++fd) {
      if (fcntl(fd, F_GETFD) != -1) return 14;
    }
    return 0;
  });
  BOOST_TEST(code == 0);
}

BOOST_AUTO_TEST_CASE(NamesAsNumbers) {
  BOOST_TEST(NumberOf("0") == 0);
  BOOST_TEST(NumberOf("4194304") == 4194304);
  for (const char* name : {"", ".", "..", "1a", "self", "-1", "99999999999999999999"}) {
    BOOST_TEST(NumberOf(name) == -1, name);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(KernelCoveredProc)

bool Opens(const std::string& path) { return open(path.c_str(), O_RDONLY | O_NONBLOCK) >= 0; }

// In namespaces of its own: /proc alone, covered or not.
int CoveredProc(const std::string& staging, bool cover) {
  if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0) return 10;
  return test::ExitOf([&] {
    std::vector<ViewOp> view{{.kind = ViewOpKind::kDirectory, .path = "/dev"},
                             {.kind = ViewOpKind::kDirectory, .path = "/proc"},
                             {.kind = ViewOpKind::kProc, .path = "/proc", .options = "hidepid=2"}};
    if (cover) {
      view.push_back(view.back());
      view.back().kind = ViewOpKind::kCoverProc;
    }
    RealKernel kernel;
    Failure failure;
    if (!ApplyView(kernel, staging, view, -1, failure)) return 12;
    if (setgid(65534) != 0 || setuid(65534) != 0) return 13;
    if (!Opens("/proc/self/stat") || !Opens("/proc/self/net/dev")) return 14;
    if (access("/dev/cover", F_OK) == 0) return 15;
    const bool shown = Opens("/proc/meminfo") || Opens("/proc/version") ||
                       Opens("/proc/sys/kernel/ostype") || Opens("/proc/filesystems");
    return shown ? 1 : 0;
  });
}

BOOST_AUTO_TEST_CASE(NothingButProcessesIsLeft) {
  std::string staging = "/tmp/bulkhead-proc-XXXXXX";
  BOOST_REQUIRE(mkdtemp(staging.data()) != nullptr);
  // Control: all of it is there.
  BOOST_TEST(test::ExitOf([&] { return CoveredProc(staging, false); }) == 1);
  BOOST_TEST(test::ExitOf([&] { return CoveredProc(staging, true); }) == 0);
  rmdir(staging.c_str());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
