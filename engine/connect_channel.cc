// SPDX-License-Identifier: Apache-2.0
#include "engine/connect_channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>

#include "engine/act_as.h"
#include "engine/open_path.h"

namespace bulkhead {
namespace {

tl::unexpected<EdgeError> Error(const char* step, const Channel& channel, int error) {
  return tl::make_unexpected(EdgeError{step, error, channel.path});
}

// The socket that was looked at, whatever its name means by now.
sockaddr_un AddressOf(const Fd& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", socket.get());
  return address;
}

// Whoever listens there told the kernel by listen(2) who it is.
bool IsServer(int fd, const Profile& to) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == to->uid;
}

}  // namespace

tl::expected<Fd, EdgeError> ConnectChannel(const Channel& channel, const Profile& from,
                                           const Profile& to) {
  const Fd socket_file = OpenWithoutLinks("/", channel.path, O_PATH);
  struct stat info {};
  if (!socket_file || fstat(socket_file.get(), &info) != 0) return Error("find", channel, errno);
  if (!S_ISSOCK(info.st_mode)) return Error("find", channel, ENOTSOCK);
  const sockaddr_un address = AddressOf(socket_file);
  Fd fd;
  {
    ActAs as_client(channel.as_server ? to : from);
    fd = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // The client has no way to the socket by itself.
    if (!as_client.ok() || !fd || !as_client.FindAsRoot()) return Error("socket", channel, errno);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return Error("connect", channel, errno);
    }
  }
  if (!IsServer(fd.get(), to)) return Error("connect", channel, EPERM);
  if (fcntl(fd.get(), F_SETFL, O_RDWR) != 0) return Error("fcntl", channel, errno);
  return fd;
}

}  // namespace bulkhead
