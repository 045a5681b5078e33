// SPDX-License-Identifier: Apache-2.0
// Runs a command as on Linux 4.14:
//
//   old-kernel COMMAND [ARGUMENT...]
//
// Each system call that came later is answered ENOSYS: all of them have higher numbers than those
// of 4.14, the last of which is statx. seccomp(2) knows no flags but TSYNC and LOG: no listener.
// What hides in memory stays as it is, as mount options. Exits with 127 when it can't run it.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

namespace {

#ifdef __x86_64__
constexpr unsigned kNative = AUDIT_ARCH_X86_64;
#else
constexpr unsigned kNative = AUDIT_ARCH_AARCH64;
#endif
constexpr unsigned kLater = SYS_statx + 1;
constexpr unsigned kLaterFlags = ~unsigned{SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG};

bool BecomeOld() {
  sock_filter steps[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 7, kNative},
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JGE | BPF_K, 6, 0, kLater},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_seccomp},
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args[0])},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 2, SECCOMP_SET_MODE_FILTER},
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args[1])},
      {BPF_JMP | BPF_JSET | BPF_K, 2, 0, kLaterFlags},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EINVAL},
  };
  const sock_fprog program = {sizeof steps / sizeof *steps, steps};
  // By CAP_SYS_ADMIN and without no_new_privs, which an old kernel doesn't bring either.
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: old-kernel COMMAND [ARGUMENT...]\n", stderr);
    return 127;
  }
  if (BecomeOld()) execvp(argv[1], argv + 1);
  std::perror("old-kernel");
  return 127;
}
