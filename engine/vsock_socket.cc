// SPDX-License-Identifier: Apache-2.0
#include "engine/vsock_socket.h"

#include <sys/socket.h>
// After it, whose types it needs.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <string>

namespace bulkhead {

tl::expected<Fd, EdgeError> VsockSocket(const Listener& listener) {
  const auto fail = [&](const char* step) {
    return tl::make_unexpected(EdgeError{step, errno, "vsock:" + std::to_string(listener.port)});
  };
  Fd fd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail("socket");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = listener.port;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail("bind");
  }
  return fd;
}

}  // namespace bulkhead
