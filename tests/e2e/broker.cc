// SPDX-License-Identifier: Apache-2.0
// A component whose other thread changes the address of each call as fast as it can, between what a
// rule allows and what none does.
//
// usage: broker tcp|udp|vsock ALLOWED-PORT REFUSED-PORT CALLS
//        broker unix PATH CALLS
// Says: flips N allowed N refused N wrong N other N. A connection that succeeded is asked to whom
// it leads; what a datagram came to, or a connection to a unix socket, is its receivers' to say.
// The path of a unix socket is flipped to the abstract name and to the relative path that differ
// from it in their first byte. With vsock only in a guest, on its own loopback.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
// After it, whose types it needs.
#include <linux/vm_sockets.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

namespace {

struct Target {
  uint32_t address;  // or CID
  uint16_t port;
};

// What both threads see; all of it is read by who makes the call.
sockaddr_in shared_address;
sockaddr_vm shared_vsock;
bool vsock = false;

void Set(const Target& target) {
  if (vsock) {
    volatile sockaddr_vm& to = shared_vsock;
    to.svm_family = AF_VSOCK;
    to.svm_port = target.port;
    to.svm_cid = target.address;
    return;
  }
  volatile sockaddr_in& to = shared_address;
  to.sin_family = AF_INET;
  to.sin_port = htons(target.port);
  to.sin_addr.s_addr = htonl(target.address);
}

struct Counts {
  uint64_t allowed = 0, refused = 0, wrong = 0, other = 0;
};

// The address and the port are changed one after the other, so mixtures of both are seen, too.
void Flip(const Target* targets, std::atomic<bool>& stop, std::atomic<uint64_t>& flips) {
  for (uint64_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
    Set(targets[i % 4]);
    flips.store(i, std::memory_order_relaxed);
  }
}

void Count(long result, Counts& counts) {
  if (result >= 0) {
    ++counts.allowed;
  } else if (errno == EPERM) {
    ++counts.refused;
  } else {
    ++counts.other;
  }
}

void Connect(const Target& allowed, Counts& counts) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* to = reinterpret_cast<const sockaddr*>(&shared_address);
  const int result = connect(fd, to, sizeof shared_address);
  Count(result, counts);
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  if (result == 0 && getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
      (ntohs(peer.sin_port) != allowed.port || ntohl(peer.sin_addr.s_addr) != allowed.address)) {
    ++counts.wrong;
  }
  close(fd);
}

void ConnectVsock(const Target& allowed, Counts& counts) {
  const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int result =
      connect(fd, reinterpret_cast<const sockaddr*>(&shared_vsock), sizeof(sockaddr_vm));
  Count(result, counts);
  sockaddr_vm peer{};
  socklen_t size = sizeof peer;
  if (result == 0 && getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
      (peer.svm_port != allowed.port || peer.svm_cid != allowed.address)) {
    ++counts.wrong;
  }
  close(fd);
}

void FlipUnix(volatile char& first, std::atomic<bool>& stop, std::atomic<uint64_t>& flips) {
  constexpr char kFirst[] = {'/', '\0', 'x'};
  for (uint64_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
    first = kFirst[i % 3];
    flips.store(i, std::memory_order_relaxed);
  }
}

void ConnectUnix(const sockaddr_un& to, Counts& counts) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // The whole of it, so that the abstract name has all bytes behind the first one.
  Count(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), counts);
  close(fd);
}

int Say(uint64_t flips, const Counts& counts) {
  std::printf("flips %lu allowed %lu refused %lu wrong %lu other %lu\n", flips, counts.allowed,
              counts.refused, counts.wrong, counts.other);
  std::fflush(stdout);
  return 0;
}

int MainUnix(const char* path, int calls) {
  static sockaddr_un address;  // both threads' own
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> flips = 0;
  std::thread attacker(FlipUnix, std::ref(address.sun_path[0]), std::ref(stop), std::ref(flips));
  Counts counts;
  for (int i = 0; i < calls; ++i) ConnectUnix(address, counts);
  stop = true;
  attacker.join();
  return Say(flips.load(), counts);
}

void Send(int fd, Counts& counts) {
  const auto* to = reinterpret_cast<const sockaddr*>(&shared_address);
  Count(sendto(fd, "x", 1, 0, to, sizeof shared_address), counts);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "unix")
    return MainUnix(argv[2], std::atoi(argv[3]));
  if (argc != 5) return 2;
  const bool tcp = std::string_view(argv[1]) == "tcp";
  vsock = std::string_view(argv[1]) == "vsock";
  const auto allowed_port = static_cast<uint16_t>(std::atoi(argv[2]));
  const auto refused_port = static_cast<uint16_t>(std::atoi(argv[3]));
  const int calls = std::atoi(argv[4]);
  const uint32_t here = vsock ? VMADDR_CID_LOCAL : INADDR_LOOPBACK;
  const Target targets[4] = {{here, allowed_port},
                             {here, refused_port},
                             {here + 1, allowed_port},
                             {vsock ? VMADDR_CID_HOST + 2 : INADDR_ANY, allowed_port}};
  Set(targets[0]);
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> flips = 0;
  std::thread attacker(Flip, targets, std::ref(stop), std::ref(flips));
  Counts counts;
  const int fd = tcp || vsock ? -1 : socket(AF_INET, SOCK_DGRAM, 0);
  for (int i = 0; i < calls; ++i) {
    if (vsock) {
      ConnectVsock(targets[0], counts);
    } else if (tcp) {
      Connect(targets[0], counts);
    } else {
      Send(fd, counts);
    }
  }
  stop = true;
  attacker.join();
  return Say(flips.load(), counts);
}
