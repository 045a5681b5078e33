// SPDX-License-Identifier: Apache-2.0
#include "engine/heartbeat.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

// Uses what sys/socket.h declares.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <cstring>

namespace bulkhead {
namespace {

constexpr timeval kPatience{10, 0};

tl::expected<void, std::string> Converse(Kernel& kernel, int fd, const VsockPeer& parent) {
  const auto failed = [&](const char* step, long result) {
    return tl::make_unexpected(std::string("cannot ") + step + " vsock " +
                               std::to_string(parent.cid) + ":" + std::to_string(parent.port) +
                               ": " + std::strerror(static_cast<int>(-result)));
  };
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    const long set = kernel(SYS_setsockopt, fd, SOL_SOCKET, option, &kPatience, sizeof kPatience);
    if (set < 0) return failed("bound the wait for", set);
  }
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = parent.cid;
  address.svm_port = parent.port;
  const long connected = kernel(SYS_connect, fd, &address, sizeof address);
  if (connected < 0) return failed("connect to", connected);
  const uint8_t sent = kHeartbeat;
  const long written = kernel(SYS_sendto, fd, &sent, 1, MSG_NOSIGNAL, nullptr, 0);
  if (written != 1) return failed("write to", written < 0 ? written : -EIO);
  uint8_t answer = 0;
  const long got = kernel(SYS_read, fd, &answer, 1);
  if (got < 0) return failed("read from", got);
  if (got == 0 || answer != kHeartbeat) {
    return tl::make_unexpected("vsock " + std::to_string(parent.cid) + ":" +
                               std::to_string(parent.port) + " answered " +
                               (got == 0 ? "nothing" : "another byte") + " to the heartbeat");
  }
  return {};
}

}  // namespace

bool WaitsForHeartbeat(std::string_view platform) { return platform == "nitro"; }

tl::expected<void, std::string> SendHeartbeat(Kernel& kernel, const VsockPeer& parent) {
  const long fd = kernel(SYS_socket, AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return tl::make_unexpected("cannot open a vsock socket for the heartbeat: " +
                               std::string(std::strerror(static_cast<int>(-fd))));
  }
  auto done = Converse(kernel, static_cast<int>(fd), parent);
  kernel(SYS_close, fd);
  return done;
}

}  // namespace bulkhead
