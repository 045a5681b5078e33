// SPDX-License-Identifier: Apache-2.0
// A rule that no memory is writable and executable at once, and code that is made all the same.
#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

constexpr size_t kPage = 4096;
constexpr int kMade = 7;

// A function that returns kMade.
#if defined(__x86_64__)
constexpr std::array<unsigned char, 6> kCode = {0xb8, kMade, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
constexpr std::array<unsigned char, 8> kCode = {0xe0, 0, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#else
#error "no code for this architecture"
#endif

void* Map(int protection, int flags, int fd = -1) {
  return mmap(nullptr, kPage, protection, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
}

Result RunsAt(void* code) {
  char* const begin = static_cast<char*>(code);
  __builtin___clear_cache(begin, begin + kCode.size());
  return reinterpret_cast<int (*)()>(code)() == kMade ? 0 : ENOEXEC;
}

void WriteAt(void* where) { memcpy(where, kCode.data(), kCode.size()); }

void NotBoth(Place& /*place*/) {
  Deny({{SYS_mmap, {{Test::Kind::kBits32, 2, PROT_WRITE | PROT_EXEC}}}});
}

void NeverLater(Place& /*place*/) {
  Deny({{SYS_mmap, {{Test::Kind::kBits32, 2, PROT_WRITE | PROT_EXEC}}},
        {SYS_mprotect, {{Test::Kind::kBits32, 2, PROT_EXEC}}},
        {SYS_pkey_mprotect, {{Test::Kind::kBits32, 2, PROT_EXEC}}}});
}

Result MapsBoth(Place& /*place*/) {
  void* const page = Map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE);
  if (page == MAP_FAILED) return errno;
  WriteAt(page);
  return RunsAt(page);
}

// Data, and code from a program.
Result MapsEach(Place& place) {
  if (Map(PROT_READ | PROT_WRITE, MAP_PRIVATE) == MAP_FAILED) return errno;
  const int fd = open(place.program.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  return Map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd) == MAP_FAILED ? errno : 0;
}

Result WritesThroughProc(Place& /*place*/) {
  void* const page = Map(PROT_READ | PROT_EXEC, MAP_PRIVATE);
  if (page == MAP_FAILED) return errno;
  const int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  const auto at = static_cast<off_t>(reinterpret_cast<uintptr_t>(page));
  if (pwrite(fd, kCode.data(), kCode.size(), at) < 0) return errno;
  return RunsAt(page);
}

Result MadeExecutable(long (*change)(void* page)) {
  void* const page = Map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
  if (page == MAP_FAILED) return errno;
  WriteAt(page);
  return change(page) < 0 ? errno : RunsAt(page);
}

Result ByMprotect(Place& /*place*/) {
  return MadeExecutable(
      [](void* page) { return syscall(SYS_mprotect, page, kPage, PROT_READ | PROT_EXEC); });
}
Result ByPkeyMprotect(Place& /*place*/) {
  return MadeExecutable([](void* page) {
    return syscall(SYS_pkey_mprotect, page, kPage, PROT_READ | PROT_EXEC, -1);
  });
}

// One file, mapped for writing and for execution.
Result MapsTwice(int fd) {
  if (fd < 0 || ftruncate(fd, kPage) != 0) return errno;
  void* const writable = Map(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  if (writable == MAP_FAILED) return errno;
  WriteAt(writable);
  void* const code = Map(PROT_READ | PROT_EXEC, MAP_SHARED, fd);
  return code == MAP_FAILED ? errno : RunsAt(code);
}

Result MapsFileTwice(Place& place) {
  return MapsTwice(open((place.own + "/code").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}
Result MapsShmFileTwice(Place& /*place*/) {
  const char* const path = "/dev/shm/half-rules-code";
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  unlink(path);
  return MapsTwice(fd);
}
Result MapsMemoryTwice(Place& /*place*/) {
  return MapsTwice(static_cast<int>(syscall(SYS_memfd_create, "code", 0)));
}
// The seal keeps it from being executed by its descriptor, and from nothing else.
Result MapsSealedMemoryTwice(Place& /*place*/) {
  constexpr unsigned kNoExecSeal = 8;  // MFD_NOEXEC_SEAL, Linux 6.3
  return MapsTwice(static_cast<int>(syscall(SYS_memfd_create, "code", kNoExecSeal)));
}

// Shared with a child, which makes its own mapping of it writable.
Result MapsSharedWithChild(Place& /*place*/) {
  void* const page = Map(PROT_READ | PROT_EXEC, MAP_SHARED);
  if (page == MAP_FAILED) return errno;
  const pid_t child = fork();
  if (child == 0) {
    if (syscall(SYS_mprotect, page, kPage, PROT_READ | PROT_WRITE) != 0) _exit(1);
    WriteAt(page);
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) return ECHILD;
  return RunsAt(page);
}

// mremap of nothing maps what is shared a second time.
Result MapsSharedAgain(Place& /*place*/) {
  void* const page = Map(PROT_READ | PROT_EXEC, MAP_SHARED);
  if (page == MAP_FAILED) return errno;
  void* const again = mremap(page, 0, kPage, MREMAP_MAYMOVE);
  if (again == MAP_FAILED) return errno;
  if (syscall(SYS_mprotect, again, kPage, PROT_READ | PROT_WRITE) != 0) return errno;
  WriteAt(again);
  return RunsAt(page);
}

Result MapsWrittenFile(Place& place) {
  const int fd = open((place.own + "/plain").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, kCode.data(), kCode.size()) < 0) return errno;
  void* const code = Map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);
  return code == MAP_FAILED ? errno : RunsAt(code);
}

Result AttachesTwice(Place& /*place*/) {
  const int id = shmget(IPC_PRIVATE, kPage, IPC_CREAT | 0700);
  if (id < 0) return errno;
  void* const failed = Pointer(UINT64_MAX);
  void* const writable = shmat(id, nullptr, 0);
  void* const code = shmat(id, nullptr, SHM_EXEC | SHM_RDONLY);
  const int error = errno;
  shmctl(id, IPC_RMID, nullptr);
  if (writable == failed || code == failed) return error;
  WriteAt(writable);
  return RunsAt(code);
}

Result ReadImpliesExecute(Place& /*place*/) {
  if (personality(READ_IMPLIES_EXEC) < 0) return errno;
  void* const page = Map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
  if (page == MAP_FAILED) return errno;
  WriteAt(page);
  return RunsAt(page);
}

}  // namespace

std::vector<HalfRule> MemoryRules() {
  const std::vector<Way> named{{"mmap", MapsBoth}};
  const Way intended{"map-each", MapsEach};
  return {
      {"memory-wx-proc-mem",
       nullptr,
       NeverLater,
       named,
       intended,
       {{"proc-mem", WritesThroughProc}}},
      {"memory-wx-mprotect",
       nullptr,
       NotBoth,
       named,
       intended,
       {{"mprotect", ByMprotect}, {"pkey-mprotect", ByPkeyMprotect}}},
      {"memory-wx-remap",
       nullptr,
       NeverLater,
       named,
       intended,
       {{"file", MapsFileTwice, nullptr, false, true},
        {"dev-shm", MapsShmFileTwice, nullptr, false, true},
        {"memfd", MapsMemoryTwice},
        {"memfd-sealed", MapsSealedMemoryTwice},
        {"written", MapsWrittenFile, nullptr, false, true},
        {"shared-child", MapsSharedWithChild},
        {"shared-again", MapsSharedAgain},
        {"system-v", AttachesTwice}}},
      {"memory-wx-personality",
       nullptr,
       NeverLater,
       named,
       intended,
       {{"personality", ReadImpliesExecute}}},
  };
}

}  // namespace bulkhead::attacks
