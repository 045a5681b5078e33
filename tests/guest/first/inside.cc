// SPDX-License-Identifier: Apache-2.0
#include "tests/guest/first/inside.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>

#include "engine/event.h"
#include "engine/nsm.h"
#include "packaging/attest/bulkhead_attest.h"
#include "profiles/digest.h"

namespace bulkhead::test {
namespace {

constexpr char kMade[] = "/tmp/made";
constexpr unsigned long kNsmRaw = 0xC0200A00;

// Lines that are cut by nobody.
void PrintDocument(std::span<const uint8_t> document) {
  constexpr size_t kPart = 400;
  for (size_t at = 0; at < document.size(); at += kPart) {
    const auto part = document.subspan(at, std::min(kPart, document.size() - at));
    std::printf("part %s\n", Hex(part).c_str());
  }
}

int Sign() {
  static std::array<uint8_t, BULKHEAD_ATTEST_MAX_DOCUMENT> document;
  size_t size = document.size();
  const int status = bulkhead_attest(bulkhead_attest_socket(), "hello", 5, "nonce", 5, "key", 3,
                                     document.data(), &size);
  if (status == BULKHEAD_ATTEST_OK) PrintDocument(std::span(document).first(size));
  std::printf("told %d\n", status);
  return std::fflush(stdout);
}

// `attempt` gives what a system call returned.
void Tell(const char* name, const std::function<long()>& attempt) {
  const bool passed = attempt() >= 0;
  std::printf("tried %s %s\n", name, passed ? "passed" : std::string(ErrnoName(errno)).c_str());
  std::fflush(stdout);
}

long Describe(int fd) {
  const ByteList request = NsmDescribeRequest(20);
  std::array<uint8_t, 0x1000> answer;
  struct {
    const void* request;
    uint64_t request_size;
    void* answer;
    uint64_t answer_size;
  } raw{request.data(), request.size(), answer.data(), answer.size()};
  return ioctl(fd, kNsmRaw, &raw);
}

long Use(const char* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  return fd < 0 ? -1 : Describe(fd);
}

int Try() {
  unsigned int major = 0;
  unsigned int minor = 0;
  std::ifstream(kDeviceNumbers) >> major >> minor;
  // Positive control: what the others would be seen by.
  Tell("control", [] { return open(kDeviceNumbers, O_RDONLY | O_CLOEXEC); });
  Tell("node", [] { return Use("/dev/nsm"); });
  Tell("tpm", [] { return open("/dev/tpmrm0", O_RDWR | O_CLOEXEC); });
  Tell("root", [] { return Use("/proc/1/root/dev/nsm"); });
  Tell("mknod", [&] { return mknod(kMade, S_IFCHR | 0666, makedev(major, minor)); });
  Tell("made", [] { return Use(kMade); });
  Tell("left", [] { return Describe(kLeft); });
  for (int fd = 0; fd < 64; ++fd) {
    Tell("fd", [fd] { return Describe(fd); });
  }
  Tell("all", [] { return 0; });
  return 0;
}

}  // namespace

int Inside(const char* what) {
  const std::string_view word(what);
  if (word == "sign") Sign();
  if (word == "try") Try();
  if (word == "hello") return std::puts("hello") < 0 || std::fflush(stdout) != 0;
  for (;;) pause();
}

}  // namespace bulkhead::test
