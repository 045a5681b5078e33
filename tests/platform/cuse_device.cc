// SPDX-License-Identifier: Apache-2.0
#include "tests/platform/cuse_device.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace bulkhead::test {
namespace {

constexpr size_t kBuffer = 1U << 17;  // above FUSE_MIN_READ_BUFFER

template <typename T>
T Take(std::span<const uint8_t> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  return value;
}

template <typename T>
std::string Bytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

CuseDevice::CuseDevice(std::string name, unsigned mode)
    : name_(std::move(name)), mode_(mode), fd_(open("/dev/cuse", O_RDWR | O_CLOEXEC)) {}

int CuseDevice::Serve() {
  while (fd_ && ServeOne()) {
  }
  std::perror("/dev/cuse");
  return fd_ ? 1 : 3;
}

bool CuseDevice::ServeOne() {
  std::vector<uint8_t> buffer(kBuffer);
  const ssize_t size = read(fd_.get(), buffer.data(), buffer.size());
  if (size < 0 && errno == EINTR) return true;
  if (size < static_cast<ssize_t>(sizeof(fuse_in_header))) return false;
  const std::span<const uint8_t> message(buffer.data(), static_cast<size_t>(size));
  const auto head = Take<fuse_in_header>(message);
  const auto body = message.subspan(sizeof head);
  switch (head.opcode) {
    case CUSE_INIT:
      return Begin(head.unique);
    case FUSE_OPEN: {
      fuse_open_out opened{};
      opened.open_flags = FOPEN_DIRECT_IO;
      return Answer(head.unique, 0, Bytes(opened));
    }
    case FUSE_RELEASE:
      return Answer(head.unique, 0, {});
    case FUSE_IOCTL: {
      const auto call = Take<fuse_ioctl_in>(body);
      const auto input = body.subspan(sizeof call);
      return Reply(head.unique, Ioctl({call.cmd, call.arg,
                                       input.first(std::min<size_t>(input.size(), call.in_size)),
                                       call.out_size}));
    }
    case FUSE_INTERRUPT:
      return true;
    default:
      return Answer(head.unique, -ENOSYS, {});
  }
}

bool CuseDevice::Answer(uint64_t unique, int error, const std::string& body) const {
  fuse_out_header head{};
  head.len = static_cast<uint32_t>(sizeof head + body.size());
  head.error = error;
  head.unique = unique;
  const std::string out = Bytes(head) + body;
  const ssize_t written = write(fd_.get(), out.data(), out.size());
  // ENOENT: whoever asked was killed meanwhile.
  return written == static_cast<ssize_t>(out.size()) || errno == ENOENT;
}

bool CuseDevice::Begin(uint64_t unique) const {
  cuse_init_out begin{};
  begin.major = FUSE_KERNEL_VERSION;
  begin.minor = FUSE_KERNEL_MINOR_VERSION;
  begin.flags = CUSE_UNRESTRICTED_IOCTL;
  begin.max_read = begin.max_write = 4096;
  const std::string text = "DEVNAME=" + name_;
  const std::string node = "/dev/" + name_;
  if (!Answer(unique, 0, Bytes(begin) + text + std::string(1, '\0'))) return false;
  if (chmod(node.c_str(), mode_) != 0) return false;
  std::puts("ready");
  return std::fflush(stdout) == 0;
}

bool CuseDevice::Reply(uint64_t unique, const IoctlReply& reply) const {
  fuse_ioctl_out out{};
  out.result = -reply.error;
  if (reply.in.empty() && reply.out.empty()) {
    return Answer(unique, 0, Bytes(out) + reply.bytes);
  }
  out.flags = FUSE_IOCTL_RETRY;
  out.in_iovs = static_cast<uint32_t>(reply.in.size());
  out.out_iovs = static_cast<uint32_t>(reply.out.size());
  std::string body = Bytes(out);
  for (const auto* where : {&reply.in, &reply.out}) {
    for (const Memory& one : *where) body += Bytes(fuse_ioctl_iovec{one.address, one.size});
  }
  return Answer(unique, 0, body);
}

}  // namespace bulkhead::test
