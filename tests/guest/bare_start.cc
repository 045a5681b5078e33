// SPDX-License-Identifier: Apache-2.0
// What a shell can't do, for the boot without bulkhead: to start a program with listeners by the
// convention of sd_listen_fds, and to wait until one says that it is ready.
//
// usage: bare-start listen [NAME=PATH | NAME=:PORT]... -- CMD...
//        bare-start await PATH
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

int Fail(const char* what) {
  std::perror(what);
  return 1;
}

sockaddr_un UnixAddress(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

bool Bind(int fd, const char* place) {
  if (place[0] == ':') {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::atoi(place + 1)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  const sockaddr_un address = UnixAddress(place);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

int Listen(char** argv) {
  std::string names;
  int count = 0;
  for (; *argv != nullptr && std::strcmp(*argv, "--") != 0; ++argv, ++count) {
    const char* place = std::strchr(*argv, '=');
    if (place == nullptr) return 2;
    const bool inet = place[1] == ':';
    // The lowest free number: 3 and up.
    const int fd = socket(inet ? AF_INET : AF_UNIX, SOCK_STREAM | (inet ? SOCK_NONBLOCK : 0), 0);
    if (fd != 3 + count || !Bind(fd, place + 1) || listen(fd, 128) != 0) return Fail(*argv);
    names += (count == 0 ? "" : ":") + std::string(*argv, static_cast<size_t>(place - *argv));
  }
  if (*argv == nullptr || argv[1] == nullptr) return 2;
  if (count > 0) {
    setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
    setenv("LISTEN_FDNAMES", names.c_str(), 1);
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  }
  execv(argv[1], argv + 1);
  return Fail(argv[1]);
}

int Await(const char* path) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  char text[64] = {};
  if (fd < 0 || !Bind(fd, path) || read(fd, text, sizeof text - 1) <= 0) return Fail(path);
  return std::strcmp(text, "READY=1") == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 3 && std::strcmp(argv[1], "listen") == 0) return Listen(argv + 2);
  if (argc == 3 && std::strcmp(argv[1], "await") == 0) return Await(argv[2]);
  return 2;
}
