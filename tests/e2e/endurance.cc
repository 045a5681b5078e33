// SPDX-License-Identifier: Apache-2.0
// endurance WAYS...: a component that never stops trying. By its words: `file PATH` where it writes
// one byte if a call that its policy refuses is ever anything but refused; `ready` tells
// $NOTIFY_SOCKET; `child` has a process beside it that does the same; `serve` answers on descriptor
// 3 until its end.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

void TellReady() {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (!connected || write(fd, "READY=1", 7) < 0) _exit(3);
  close(fd);
}

void Serve() {
  char byte = 0;
  while (read(3, &byte, 1) == 1 && write(3, &byte, 1) == 1) {
  }
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const char* file = "/dev/null";
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "file") == 0 && i + 1 < argc) file = argv[++i];
    if (strcmp(argv[i], "serve") == 0) Serve();
    if (strcmp(argv[i], "child") == 0 && fork() < 0) _exit(5);
    if (strcmp(argv[i], "ready") == 0) TellReady();
  }
  for (;;) {
    // EFAULT where nothing refuses it; ENOSYS from the kernel itself when the supervisor is dead.
    if (syscall(SYS_chroot, nullptr) == 0 || (errno != EPERM && errno != ENOSYS)) {
      const int fd = open(file, O_WRONLY | O_APPEND);
      if (write(fd, "x", 1) < 0) _exit(4);
    }
    // Without its child it ends, as a whole is restarted.
    if (waitpid(-1, nullptr, WNOHANG) > 0) _exit(6);
    const timespec rest{0, 5'000'000};
    nanosleep(&rest, nullptr);
  }
}
