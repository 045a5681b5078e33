// SPDX-License-Identifier: Apache-2.0
// e2e-nsm ROOT: the Nitro security module of fake_nsm.h as /dev/nsm, mode 0666 like the driver's,
// until it is killed; the certificate of its CA goes into the file ROOT. What becomes of registers
// is said on standard output. For guests: the node is that of the whole machine.
//
// A character device in user space (module cuse): requests are read from /dev/cuse and answered
// there in FUSE's protocol (linux/fuse.h). What an ioctl points to is not known from its number
// here, so each is asked for again with where its memory is: first the four words of the request
// (linux/nsm.h), then what these point to. Single-threaded, as the module is.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "tests/platform/fake_nsm.h"

namespace bulkhead::test {
namespace {

using Bytes = std::string;

constexpr uint32_t kNsmRaw = 0xC0200A00;
constexpr size_t kMostRequest = 0x1000;
constexpr size_t kMostAnswer = 0x3000;
constexpr size_t kBuffer = 1U << 17;  // above FUSE_MIN_READ_BUFFER
constexpr char kName[] = "DEVNAME=nsm";
constexpr char kNode[] = "/dev/nsm";
constexpr mode_t kMode = 0666;

struct NsmRaw {
  uint64_t request = 0, request_size = 0, answer = 0, answer_size = 0;
};

template <typename T>
void Put(Bytes& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T Take(std::span<const uint8_t> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  return value;
}

class Device {
 public:
  explicit Device(int fd) : fd_(fd) {}

  // False: there is no more to come.
  bool ServeOne() {
    buffer_.resize(kBuffer);
    const ssize_t size = read(fd_, buffer_.data(), buffer_.size());
    if (size < 0 && errno == EINTR) return true;
    if (size < static_cast<ssize_t>(sizeof(fuse_in_header))) return false;
    const std::span<const uint8_t> message(buffer_.data(), static_cast<size_t>(size));
    const auto head = Take<fuse_in_header>(message);
    const auto body = message.subspan(sizeof head);
    switch (head.opcode) {
      case CUSE_INIT:
        return Begin(head.unique);
      case FUSE_OPEN:
        return Answer(head.unique, 0, Opened());
      case FUSE_RELEASE:
        return Answer(head.unique, 0, {});
      case FUSE_IOCTL:
        return Ioctl(head.unique, body);
      case FUSE_INTERRUPT:
        return true;
      default:
        return Answer(head.unique, -ENOSYS, {});
    }
  }

  std::string RootPem() const { return nsm_.RootPem(); }

 private:
  bool Answer(uint64_t unique, int error, const Bytes& body) const {
    Bytes out;
    Put(out, fuse_out_header{static_cast<uint32_t>(sizeof(fuse_out_header) + body.size()), error,
                             unique});
    out += body;
    const ssize_t written = write(fd_, out.data(), out.size());
    // ENOENT: whoever asked was killed meanwhile.
    return written == static_cast<ssize_t>(out.size()) || errno == ENOENT;
  }

  bool Begin(uint64_t unique) const {
    cuse_init_out begin{};
    begin.major = FUSE_KERNEL_VERSION;
    begin.minor = FUSE_KERNEL_MINOR_VERSION;
    begin.flags = CUSE_UNRESTRICTED_IOCTL;
    begin.max_read = begin.max_write = 4096;
    Bytes body;
    Put(body, begin);
    body.append(kName, sizeof kName);
    if (!Answer(unique, 0, body) || chmod(kNode, kMode) != 0) return false;
    std::puts("ready");
    return std::fflush(stdout) == 0;
  }

  static Bytes Opened() {
    fuse_open_out opened{};
    opened.open_flags = FOPEN_DIRECT_IO;
    Bytes body;
    Put(body, opened);
    return body;
  }

  bool Fails(uint64_t unique, int error) const {
    fuse_ioctl_out out{};
    out.result = -error;
    Bytes body;
    Put(body, out);
    return Answer(unique, 0, body);
  }

  bool AskAgain(uint64_t unique, const std::vector<fuse_ioctl_iovec>& in,
                const std::vector<fuse_ioctl_iovec>& where) const {
    fuse_ioctl_out out{};
    out.flags = FUSE_IOCTL_RETRY;
    out.in_iovs = static_cast<uint32_t>(in.size());
    out.out_iovs = static_cast<uint32_t>(where.size());
    Bytes body;
    Put(body, out);
    for (const auto& one : in) Put(body, one);
    for (const auto& one : where) Put(body, one);
    return Answer(unique, 0, body);
  }

  bool Ioctl(uint64_t unique, std::span<const uint8_t> body) {
    const auto call = Take<fuse_ioctl_in>(body);
    const auto input = body.subspan(sizeof call);
    if (call.cmd != kNsmRaw) return Fails(unique, EINVAL);
    const fuse_ioctl_iovec words{call.arg, sizeof(NsmRaw)};
    if (call.in_size < sizeof(NsmRaw)) return AskAgain(unique, {words}, {});
    auto raw = Take<NsmRaw>(input);
    if (raw.request_size > kMostRequest) return Fails(unique, EMSGSIZE);
    raw.answer_size = std::min<uint64_t>(raw.answer_size, kMostAnswer);
    if (call.in_size != sizeof raw + raw.request_size || call.out_size == 0) {
      return AskAgain(unique, {words, {raw.request, raw.request_size}},
                      {words, {raw.answer, raw.answer_size}});
    }
    const auto before = nsm_.registers;
    const std::vector<uint8_t> answer =
        nsm_.Answer(input.subspan(sizeof raw, raw.request_size), raw.answer_size);
    TellChanges(before);
    raw.answer_size = answer.size();
    Bytes out;
    Put(out, fuse_ioctl_out{});
    Put(out, raw);
    out.append(answer.begin(), answer.end());
    return Answer(unique, 0, out);
  }

  void TellChanges(const std::array<FakeNsm::Register, 32>& before) const {
    for (size_t i = 0; i < before.size(); ++i) {
      const FakeNsm::Register& now = nsm_.registers[i];
      if (now.value == before[i].value && now.locked == before[i].locked) continue;
      std::printf("module: pcr%zu = %s%s\n", i, Hex(now.value).c_str(),
                  now.locked ? ", locked" : "");
      std::fflush(stdout);
    }
  }

  int fd_;
  FakeNsm nsm_;
  std::vector<uint8_t> buffer_;
};

}  // namespace
}  // namespace bulkhead::test

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int fd = open("/dev/cuse", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    std::perror("/dev/cuse");
    return 3;
  }
  bulkhead::test::Device device(fd);
  std::ofstream(argv[1]) << device.RootPem();
  while (device.ServeOne()) {
  }
  std::perror("/dev/cuse");
  return 1;
}
