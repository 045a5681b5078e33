// SPDX-License-Identifier: Apache-2.0
// An instance that violates its policy on request, itself or by a child: words come by its
// connection, descriptor 3, and are answered there.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>

namespace {

// As of another architecture: the filter kills whoever does it, and asks nobody.
[[noreturn]] void CallForeign() {
#if defined(__x86_64__)
  long value = 20;  // getpid there
  __asm__ volatile("int $0x80" : "+a"(value) : : "memory", "r8", "r9", "r10", "r11");
#endif
  _exit(9);
}

pid_t Child() {
  const pid_t child = fork();
  if (child == 0) CallForeign();
  return child;
}

bool WasKilled(pid_t child) {
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFSIGNALED(status);
}

bool Do(std::string_view word) {
  if (word == "call") return syscall(SYS_chroot, "/") != 0;
  if (word == "child") return Child() > 0;  // and it is not waited for
  if (word == "reaped") return WasKilled(Child());
  return word == "here";
}

}  // namespace

int main() {
  char word[16];
  for (;;) {
    const ssize_t size = read(3, word, sizeof word);
    if (size <= 1) return 0;
    const bool done = Do({word, static_cast<size_t>(size) - 1});
    const std::string_view answer = done ? "done\n" : "not\n";
    if (send(3, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return 1;
  }
}
