// SPDX-License-Identifier: Apache-2.0
// channels writer|reader: an end of a channel of memory, descriptor 3, and what it can't do to it.
// A static program that maps no code.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace {

constexpr size_t kSize = 65536;

void Pause() {
  const timespec rest{0, 20'000'000};
  nanosleep(&rest, nullptr);
}

const char* Tried(bool done) { return done ? "done" : strerrorname_np(errno); }

const char* Mapped(int protection, int flags) {
  void* const at = mmap(nullptr, kSize, protection, flags, 3, 0);
  if (at == MAP_FAILED) return strerrorname_np(errno);
  munmap(at, kSize);
  return "done";
}

const char* Opened(int flags) {
  const int fd = open("/proc/self/fd/3", flags);
  if (fd >= 0) close(fd);
  return Tried(fd >= 0);
}

}  // namespace

int main(int argc, char** argv) {
  const bool writer = argc > 1 && strcmp(argv[1], "writer") == 0;
  const int protection = writer ? PROT_READ | PROT_WRITE : PROT_READ;
  auto* const memory =
      static_cast<volatile char*>(mmap(nullptr, kSize, protection, MAP_SHARED, 3, 0));
  if (memory == MAP_FAILED) return 1;
  char text[512];
  const int size = snprintf(
      text, sizeof text,
      "found %d shrink %s grow %s write-map %s code %s private-code %s reopen %s read %s\n",
      memory[0], Tried(ftruncate(3, 0) == 0), Tried(ftruncate(3, 2 * kSize) == 0),
      Mapped(PROT_READ | PROT_WRITE, MAP_SHARED), Mapped(PROT_READ | PROT_EXEC, MAP_SHARED),
      Mapped(PROT_READ | PROT_EXEC, MAP_PRIVATE), Opened(O_RDWR), Opened(O_RDONLY));
  if (write(1, text, static_cast<size_t>(size)) < 0) return 1;
  for (char last = memory[0];;) {
    if (writer) memory[0] = static_cast<char>(memory[0] % 100 + 1);
    if (!writer && memory[0] != last) {
      last = memory[0];
      if (write(1, "changed\n", 8) < 0) return 1;
    }
    Pause();
  }
}
