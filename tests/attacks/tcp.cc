// SPDX-License-Identifier: Apache-2.0
// Rules on TCP ports, and what is no TCP, or no connect, or no bind.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "profiles/landlock.h"
#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

constexpr int kSctp = 132;
constexpr int kDccp = 33;
constexpr int kMptcp = 262;
constexpr int kSockDccp = 6;
constexpr int kAfSmc = 43;
constexpr int kLoopback = 1;  // the index of lo in every network namespace
constexpr int kPatience = 15000;

sockaddr_in At(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const sockaddr* Plain(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

int ListenOnLoopback(uint16_t& port) {
  const int fd = static_cast<int>(Needed(socket(AF_INET, SOCK_STREAM, 0), "a socket"));
  sockaddr_in address = At(0);
  socklen_t size = sizeof address;
  Needed(bind(fd, Plain(address), size), "bind");
  Needed(listen(fd, 16), "listen");
  Needed(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

int ReceiveOnLoopback(uint16_t port) {
  const int fd = static_cast<int>(Needed(socket(AF_INET, SOCK_DGRAM, 0), "a socket"));
  const sockaddr_in address = At(port);
  Needed(bind(fd, Plain(address), sizeof address), "bind");
  return fd;
}

Result ConnectTo(int fd, uint16_t port) {
  const sockaddr_in to = At(port);
  return Answer(connect(fd, Plain(to), sizeof to));
}

// Whether it has a port on which it listens: a call that is answered and not made has given none.
Result Listens(int fd) {
  if (listen(fd, 1) != 0) return errno;
  sockaddr_in address{};
  socklen_t size = sizeof address;
  Needed(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  int accepts = 0;
  size = sizeof accepts;
  Needed(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size), "getsockopt");
  return address.sin_port != 0 && accepts != 0 ? 0 : EOPNOTSUPP;
}

namespace {

Result Connects(uint16_t port, int type = SOCK_STREAM, int protocol = 0) {
  const int fd = socket(AF_INET, type, protocol);
  return fd < 0 ? errno : ConnectTo(fd, port);
}

// Back to a socket that is neither bound nor connected.
Result Dissolve(int fd) {
  const sockaddr none{AF_UNSPEC, {}};
  return Answer(connect(fd, &none, sizeof none));
}

void TwoListeners(Place& place) {
  ListenOnLoopback(place.allowed_port);
  ListenOnLoopback(place.other_port);
  ReceiveOnLoopback(place.other_port);
}

void ConnectRule(Place& place) {
  Restrict({.net = landlock::kConnectTcp, .connect = {place.allowed_port}});
}

Result ConnectsAllowed(Place& place) { return Connects(place.allowed_port); }
Result ConnectsOther(Place& place) { return Connects(place.other_port); }

// --- tcp-fastopen --------------------------------------------------------------------------------

// Whether data were sent and the peer is there.
Result FastOpened(int fd, long sent) {
  if (sent < 0) return errno;
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  return Answer(getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size));
}

Result FastOpenBySendto(Place& place) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in to = At(place.other_port);
  return FastOpened(fd, sendto(fd, "x", 1, MSG_FASTOPEN, Plain(to), sizeof to));
}

struct Message {
  explicit Message(uint16_t port) : to(At(port)) {
    header.msg_name = &to;
    header.msg_namelen = sizeof to;
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
  }
  char byte = 'x';
  sockaddr_in to;
  iovec piece{&byte, 1};
  msghdr header{};
};

Result FastOpenBySendmsg(Place& place) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const Message message(place.other_port);
  return FastOpened(fd, sendmsg(fd, &message.header, MSG_FASTOPEN));
}

Result FastOpenBySendmmsg(Place& place) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const Message message(place.other_port);
  mmsghdr messages{message.header, 0};
  return FastOpened(fd, sendmmsg(fd, &messages, 1, MSG_FASTOPEN));
}

// --- tcp-mptcp, tcp-sctp-smc, tcp-udp, tcp-raw ---------------------------------------------------

Result ConnectsByMptcp(Place& place) { return Connects(place.other_port, SOCK_STREAM, kMptcp); }
Result MakesSctp(Place& /*place*/) { return Answer(socket(AF_INET, SOCK_STREAM, kSctp)); }
Result MakesDccp(Place& /*place*/) { return Answer(socket(AF_INET, kSockDccp, kDccp)); }
Result MakesSmc(Place& /*place*/) { return Answer(socket(kAfSmc, SOCK_STREAM, 0)); }

Result SendsDatagram(Place& place) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return errno;
  const sockaddr_in to = At(place.other_port);
  if (sendto(fd, "x", 1, 0, Plain(to), sizeof to) != 1) return errno;
  // Who is connected is told by the second one that nobody received the first.
  if (connect(fd, Plain(to), sizeof to) != 0) return 0;
  const bool sent = send(fd, "x", 1, 0) == 1;
  return sent ? Answer(send(fd, "x", 1, 0)) : errno;
}

Result SendsRaw(Place& /*place*/) {
  const int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (fd < 0) return errno;
  const icmphdr echo{.type = ICMP_ECHO, .code = 0, .checksum = htons(0xf7ff), .un = {}};
  const sockaddr_in to = At(0);
  return Answer(sendto(fd, &echo, sizeof echo, 0, Plain(to), sizeof to));
}

Result SendsPacket(Place& /*place*/) {
  const int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
  if (fd < 0) return errno;
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_IP);
  to.sll_ifindex = kLoopback;
  to.sll_halen = ETH_ALEN;
  return Answer(sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to));
}

// --- tcp-listen-autobind -------------------------------------------------------------------------

void BindRule(Place& place) {
  Restrict({.net = landlock::kBindTcp | landlock::kConnectTcp, .connect = {place.allowed_port}});
}

Result Binds(Place& /*place*/) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  const sockaddr_in any = At(0);
  return Answer(bind(fd, Plain(any), sizeof any));
}

Result ListensWithoutBind(Place& /*place*/) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? errno : Listens(fd);
}

Result ListensOnceConnected(Place& place) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  if (const Result result = ConnectTo(fd, place.allowed_port); result != 0) return result;
  if (const Result result = Dissolve(fd); result != 0) return result;
  return Listens(fd);
}

// --- tcp-listener-as-client ----------------------------------------------------------------------

// A listener that was handed over, with clients that wait.
void Listener(Place& place) {
  uint16_t front = 0;
  ListenOnLoopback(place.other_port);
  place.listener = ListenOnLoopback(front);
  for (int i = 0; i < 2; ++i) Needed(-Connects(front), "a client");
}

void NoSockets(Place& /*place*/) { Deny({{SYS_socket, {}}}); }

int Accept(const Place& place) {
  if (place.listener < 0) {
    errno = EBADF;
    Broken("no listener");
  }
  pollfd ready{place.listener, POLLIN, 0};
  if (poll(&ready, 1, kPatience) != 1) Broken("no client");
  return static_cast<int>(Needed(accept(place.listener, nullptr, nullptr), "accept"));
}

Result Serves(Place& place) { return Answer(send(Accept(place), "x", 1, MSG_NOSIGNAL)); }

Result AcceptedConnects(Place& place) {
  const int fd = Accept(place);
  if (const Result result = Dissolve(fd); result != 0) return result;
  return ConnectTo(fd, place.other_port);
}

Result AcceptedListens(Place& place) {
  const int fd = Accept(place);
  if (const Result result = Dissolve(fd); result != 0) return result;
  return Listens(fd);
}

Result ListenerConnects(Place& place) {
  shutdown(place.listener, SHUT_RDWR);
  return ConnectTo(place.listener, place.other_port);
}

}  // namespace

std::vector<HalfRule> TcpRules() {
  const std::vector<Way> named{{"connect", ConnectsOther}};
  const Way intended{"connect-allowed", ConnectsAllowed};
  const auto connects = [&](std::string_view id, std::vector<Way> ways) {
    return HalfRule{id, TwoListeners, ConnectRule, named, intended, std::move(ways)};
  };
  return {
      connects("tcp-fastopen", {{"sendto", FastOpenBySendto},
                                {"sendmsg", FastOpenBySendmsg},
                                {"sendmmsg", FastOpenBySendmmsg}}),
      connects("tcp-mptcp", {{"mptcp", ConnectsByMptcp}}),
      connects("tcp-udp", {{"udp", SendsDatagram}}),
      connects("tcp-raw", {{"raw", SendsRaw}, {"packet", SendsPacket}}),
      connects("tcp-sctp-smc", {{"sctp", MakesSctp}, {"dccp", MakesDccp}, {"smc", MakesSmc}}),
      {"tcp-listen-autobind",
       TwoListeners,
       BindRule,
       {{"bind", Binds}},
       intended,
       {{"listen", ListensWithoutBind}, {"connected", ListensOnceConnected}}},
      {"tcp-listener-as-client",
       Listener,
       NoSockets,
       {{"socket", ConnectsOther}},
       {"accept", Serves},
       {{"accepted", AcceptedConnects},
        {"accepted-listens", AcceptedListens},
        {"listener", ListenerConnects}}},
  };
}

}  // namespace bulkhead::attacks
