// SPDX-License-Identifier: Apache-2.0
// Round trips, as a component sees them: a refused call that goes on record, and a connect that the
// broker makes. Beside them a raw notification: two processes, the listener's ioctls, nothing else.
//
// usage: bench-broker raw ROUNDS | refused ROUNDS | connect udp|tcp ADDRESS PORT ROUNDS
// Says: NAME median NANOSECONDS mean NANOSECONDS. Driven by broker.py.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <string_view>
#include <vector>

namespace {

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

constexpr int kBatch = 400;  // in a second: below every budget of the supervisor

// Between calls `rest` is done, which is not measured.
void Measure(
    const char* name, int rounds, const std::function<void()>& call,
    const std::function<void()>& rest = [] {}) {
  using Clock = std::chrono::steady_clock;
  std::vector<int64_t> times;
  for (int i = 0; i < rounds; ++i) {
    if (i % kBatch == 0) usleep(1'100'000);
    const auto began = Clock::now();
    call();
    times.push_back(std::chrono::nanoseconds(Clock::now() - began).count());
    rest();
  }
  std::sort(times.begin(), times.end());
  const int64_t sum = std::accumulate(times.begin(), times.end(), int64_t{0});
  std::printf("%s median %ld mean %ld\n", name, times[times.size() / 2], sum / rounds);
  std::fflush(stdout);
}

int InstallListener() {
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{4, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return static_cast<int>(
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

// The filter is the child's alone; the listener is taken from it.
int Raw(int rounds) {
  int ready[2];
  if (pipe(ready) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    const int listener = InstallListener();
    if (write(ready[1], &listener, sizeof listener) != sizeof listener) _exit(1);
    Measure("raw", rounds, [] { syscall(SYS_getpriority, 0, 0); });
    _exit(0);
  }
  int number = -1;
  if (read(ready[0], &number, sizeof number) != sizeof number) return 1;
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  const int listener = static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, number, 0));
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, uint64_t{1});
  for (int i = 0; i < rounds; ++i) {
    seccomp_notif call{};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) return 1;
    seccomp_notif_resp answer{};
    answer.id = call.id;
    answer.error = -1;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

int Connect(bool tcp, const char* address, int port, int rounds) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address, &to.sin_addr);
  int failed = 0;
  const auto open = [&] { return socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0); };
  int fd = open();
  const auto call = [&] {
    if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) ++failed;
  };
  const auto rest = [&] {
    if (!tcp) return;  // a datagram socket is connected anew
    close(fd);
    fd = open();
  };
  Measure(tcp ? "connect-tcp" : "connect-udp", rounds, call, rest);
  if (failed != 0) std::printf("failed %d\n", failed);
  return failed != 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 2 ? argv[1] : "";
  if (what == "raw") return Raw(std::atoi(argv[2]));
  if (what == "refused") {
    Measure("refused", std::atoi(argv[2]), [] { socket(AF_NETLINK, SOCK_RAW, 0); });
    return 0;
  }
  if (what != "connect" || argc != 6) return 2;
  return Connect(std::string_view(argv[2]) == "tcp", argv[3], std::atoi(argv[4]),
                 std::atoi(argv[5]));
}
