// SPDX-License-Identifier: Apache-2.0
#include "tests/compiler/kernel_cell.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "sandbox/kernel.h"

namespace bulkhead::testing {
namespace {

constexpr int kNamespaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
constexpr const char* kRoot = "/tmp";  // the cell's tmpfs is mounted over it, in the cell alone
constexpr uid_t kNobody = 65534;

bool MakeNamespaces() {
  return unshare(kNamespaces) == 0 &&
         mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("cell", kRoot, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
               "size=64k,nr_inodes=16,mode=1777") == 0;
}

// PID 1 of the cell: keeps the namespaces, and reaps by not wanting to know. `told` is how the
// parent learns that they are there.
[[noreturn]] void BeFirst(int told) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  signal(SIGCHLD, SIG_IGN);
  if (!MakeNamespaces() || write(told, "", 1) != 1) _exit(1);
  close(told);
  while (true) pause();
}

bool Limit() {
  constexpr std::array<std::pair<__rlimit_resource, rlim_t>, 5> kLimits{{{RLIMIT_CORE, 0},
                                                                         {RLIMIT_FSIZE, 4096},
                                                                         {RLIMIT_NOFILE, 64},
                                                                         {RLIMIT_CPU, 60},
                                                                         {RLIMIT_MEMLOCK, 65536}}};
  for (const auto& [resource, value] : kLimits) {
    const rlimit limit{value, value};
    if (setrlimit(resource, &limit) != 0) return false;
  }
  return true;
}

// The test runner catches signals, which would hide how a child ends.
void ForgetHandlers() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
}

bool Enter(int first_pidfd) {
  ForgetHandlers();
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || setns(first_pidfd, kNamespaces) != 0) return false;
  for (const int fd : {0, 1, 2}) {
    if (dup2(null, fd) != fd) return false;
  }
  return syscall(SYS_close_range, 3U, ~0U, 0U) == 0 && chdir(kRoot) == 0 && chroot(".") == 0 &&
         Limit() && setgroups(0, nullptr) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 &&
         setresuid(kNobody, kNobody, kNobody) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
}

}  // namespace

KernelCell::KernelCell() {
  if (geteuid() != 0) throw std::runtime_error("no cell: needs root");
  std::array<int, 2> ready{};
  own_namespace_ = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  if (own_namespace_ < 0 || pipe2(ready.data(), O_CLOEXEC) != 0 || unshare(CLONE_NEWPID) != 0) {
    throw std::runtime_error("no cell: errno " + std::to_string(errno));
  }
  first_ = fork();
  if (first_ == 0) BeFirst(ready[1]);
  close(ready[1]);
  char byte = 0;
  const bool told = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  first_pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, first_, 0));
  if (!told || first_pidfd_ < 0) throw std::runtime_error("no cell: its namespaces are refused");
}

KernelCell::~KernelCell() {
  kill(first_, SIGKILL);  // and with it all that are left in its namespace
  End(first_);
  setns(own_namespace_, CLONE_NEWPID);
  close(first_pidfd_);
  close(own_namespace_);
}

pid_t KernelCell::Start(const std::function<void()>& body) const {
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork: errno " + std::to_string(errno));
  if (child > 0) return child;
  if (!Enter(first_pidfd_)) _exit(kNotConfined);
  body();
  _exit(0);
}

int KernelCell::End(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::runtime_error("waitpid: errno " + std::to_string(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

long LoadFilter(const Filter& filter, bool listener) {
  static_assert(sizeof(Instruction) == sizeof(sock_filter));
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           reinterpret_cast<sock_filter*>(const_cast<Instruction*>(filter.data()))};
  RealKernel kernel;
  return kernel(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0UL, &program);
}

}  // namespace bulkhead::testing
