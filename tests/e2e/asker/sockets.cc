// SPDX-License-Identifier: Apache-2.0
// Questions about sockets. A connection that nobody accepts has passed the controls: ECONNREFUSED.
// vsock sockets are made and nothing is done with them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "tests/e2e/asker/asker.h"

namespace bulkhead::asker {
namespace {

struct Place {
  sockaddr_storage address{};
  socklen_t size = 0;

  int family() const { return address.ss_family; }
};

Place Internet(const char* host, long port) {
  Place place;
  auto* four = reinterpret_cast<sockaddr_in*>(&place.address);
  auto* six = reinterpret_cast<sockaddr_in6*>(&place.address);
  const in_port_t number = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = number;
    place.size = sizeof *four;
    return place;
  }
  inet_pton(AF_INET6, host, &six->sin6_addr);
  six->sin6_family = AF_INET6;
  six->sin6_port = number;
  place.size = sizeof *six;
  return place;
}

Place Unix(const char* name, bool abstract) {
  Place place;
  auto* address = reinterpret_cast<sockaddr_un*>(&place.address);
  address->sun_family = AF_UNIX;
  strncpy(address->sun_path + (abstract ? 1 : 0), name, sizeof address->sun_path - 2);
  const size_t length = strlen(name) + (abstract ? 1 : 0);
  place.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  return place;
}

constexpr int kTypeFlags[] = {0, SOCK_CLOEXEC, static_cast<int>(SOCK_CLOEXEC) | SOCK_NONBLOCK};

// Whether a socket that a program would make for it passes `next`.
template <typename Next>
bool ByAny(const Place& place, int type, std::initializer_list<int> protocols, Tries& tries,
           Next next) {
  for (const int protocol : protocols) {
    for (const int more : kTypeFlags) {
      const long fd = Call(SYS_socket, place.family(), type | more, protocol);
      if (fd < 0) {
        tries.Note(fd);
        if (MayBeFiltered(fd)) continue;
        break;
      }
      const long answer = next(fd);
      tries.Note(answer);
      if (answer < 0 || type == SOCK_DGRAM) Call(SYS_close, fd);
      if (tries.passed()) return true;
      break;
    }
  }
  return false;
}

long Reached(long answer) {
  return answer == -ECONNREFUSED || answer == -EINPROGRESS || answer == -EAGAIN ? 0 : answer;
}

// An abstract name that is not there answers as a listener does that is gone.
bool IsAbstract(const Place& place) {
  const auto* address = reinterpret_cast<const sockaddr_un*>(&place.address);
  return place.family() == AF_UNIX && address->sun_path[0] == '\0';
}

auto Connect(const Place& place) {
  return [&place](long fd) {
    const long answer = Call(SYS_connect, fd, Address(&place.address), place.size);
    return IsAbstract(place) ? answer : Reached(answer);
  };
}

auto Send(const Place& place, int flags) {
  return [&place, flags](long fd) {
    return Reached(Call(SYS_sendto, fd, Address("x"), 1, flags | MSG_NOSIGNAL,
                        Address(&place.address), place.size));
  };
}

auto Listen(const Place& place, bool listens) {
  return [&place, listens](long fd) {
    const long bound = Call(SYS_bind, fd, Address(&place.address), place.size);
    return bound < 0 || !listens ? bound : Call(SYS_listen, fd, 4);
  };
}

constexpr int kMptcp = 262;

void ConnectTcp(const char* host, long port, Tries& tries) {
  const Place place = Internet(host, port);
  if (ByAny(place, SOCK_STREAM, {0, IPPROTO_TCP, kMptcp}, tries, Connect(place))) return;
  ByAny(place, SOCK_STREAM, {0, IPPROTO_TCP}, tries, Send(place, MSG_FASTOPEN));
}

void ConnectUdp(const char* host, long port, Tries& tries) {
  const Place place = Internet(host, port);
  if (ByAny(place, SOCK_DGRAM, {0, IPPROTO_UDP}, tries, Connect(place))) return;
  ByAny(place, SOCK_DGRAM, {0, IPPROTO_UDP}, tries, Send(place, 0));
}

void ConnectUnix(const Place& place, Tries& tries) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    if (ByAny(place, type, {0}, tries, Connect(place))) return;
  }
}

void ListenUnix(const Place& place, Tries& tries) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    if (ByAny(place, type, {0}, tries, Listen(place, true))) return;
  }
}

using OnAddress = void (*)(const char* host, long port, Tries& tries);

// Without an address any of the machine's own will do.
void OnAddresses(const Words& words, Tries& tries, OnAddress next,
                 std::initializer_list<const char*> own) {
  if (words.count > 2) return next(words.At(2), words.Number(1), tries);
  for (const char* host : own) {
    next(host, words.Number(1), tries);
    if (tries.passed()) return;
  }
}

}  // namespace

void AskSocket(const Words& words, Tries& tries) {
  const char* const verb = words.At(0);
  const auto listen_tcp = [](const char* host, long port, Tries& into) {
    const Place place = Internet(host, port);
    ByAny(place, SOCK_STREAM, {0, IPPROTO_TCP, kMptcp}, into, Listen(place, true));
  };
  const auto listen_udp = [](const char* host, long port, Tries& into) {
    const Place place = Internet(host, port);
    ByAny(place, SOCK_DGRAM, {0, IPPROTO_UDP}, into, Listen(place, false));
  };
  if (Is(verb, "connect-tcp")) OnAddresses(words, tries, ConnectTcp, {"127.0.0.1", "::1"});
  if (Is(verb, "connect-udp")) OnAddresses(words, tries, ConnectUdp, {"127.0.0.1", "::1"});
  if (Is(verb, "connect-unix")) ConnectUnix(Unix(words.At(1), false), tries);
  if (Is(verb, "connect-abstract")) ConnectUnix(Unix(words.At(1), true), tries);
  if (Is(verb, "listen-tcp")) OnAddresses(words, tries, listen_tcp, {"0.0.0.0", "::"});
  if (Is(verb, "listen-udp")) OnAddresses(words, tries, listen_udp, {"0.0.0.0", "::"});
  if (Is(verb, "listen-unix")) ListenUnix(Unix(words.At(1), false), tries);
  if (Is(verb, "listen-abstract")) ListenUnix(Unix(words.At(1), true), tries);
  if (Is(verb, "vsock")) {
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
      const long fd = Call(SYS_socket, AF_VSOCK, type, 0);
      if (tries.Note(fd)) Call(SYS_close, fd);
    }
  }
}

}  // namespace bulkhead::asker
