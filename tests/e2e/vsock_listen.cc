// SPDX-License-Identifier: Apache-2.0
// vsock-listen PORT: a component that is given a vsock listener as descriptor 3. It answers each
// connection with one byte, after it has tried to make something else of the listener and of what
// it accepted: each line says what and what the kernel answered. It makes no address of vsock:
// those that it uses are the ones that the kernel tells it.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

using Address = std::array<unsigned char, 128>;

struct Named {
  Address bytes{};
  socklen_t size = sizeof(Address);
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(bytes.data()); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(bytes.data()); }
};

void Say(const char* which, const char* what, int result) {
  std::printf("%s %s %s\n", which, what, result == 0 ? "done" : strerrorname_np(errno));
  std::fflush(stdout);
}

void Try(const char* which, int fd) {
  Named own;
  Named peer;
  if (getsockname(fd, own.get(), &own.size) != 0) own.size = 16;
  // Its own address stands for any that it could know: the peer's, where there is one.
  if (getpeername(fd, peer.get(), &peer.size) != 0) peer = own;
  Named none;
  none.size = 16;  // of family AF_UNSPEC
  Say(which, "connect", connect(fd, peer.get(), peer.size));
  Say(which, "dissolve", connect(fd, none.get(), none.size));
  Say(which, "reconnect", connect(fd, peer.get(), peer.size));
  Say(which, "bind", bind(fd, own.get(), own.size));
}

}  // namespace

int main() {
  Say("made", "socket", socket(AF_VSOCK, SOCK_STREAM, 0) < 0 ? -1 : 0);
  Try("listener", 3);
  Say("listener", "shutdown", shutdown(3, SHUT_RDWR));
  Try("listener-shut", 3);
  for (;;) {
    const int peer = accept(3, nullptr, nullptr);
    if (peer < 0) return 1;
    Try("accepted", peer);
    Say("accepted", "listen", listen(peer, 4));
    if (write(peer, "x", 1) != 1) return 2;
    char byte = 0;
    // Until the client has gone.
    while (read(peer, &byte, 1) > 0) {
    }
    Try("ended", peer);
    Say("ended", "listen", listen(peer, 4));
    shutdown(peer, SHUT_RDWR);
    Try("shut", peer);
    Say("shut", "listen", listen(peer, 4));
    close(peer);
  }
}
