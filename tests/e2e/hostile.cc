// SPDX-License-Identifier: Apache-2.0
// A component that keeps trying what its policy refuses, faster than an interpreter could:
//
//   hostile connect THREADS      TCP connections on the loopback, each to another address and port
//   hostile open THREADS PATH    opens a file
//   hostile call COUNT           system calls, each with other registers; then four a second
//
// It writes `refused N` twice a second, and ends at SIGTERM or after a minute, with `total N`:
// every attempt that it began was answered by then. An attempt that is not refused ends it with
// code 1.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kReport = std::chrono::milliseconds(500);
constexpr auto kLongest = std::chrono::seconds(60);
constexpr timespec kQuarter{0, 250'000'000};

std::atomic<uint64_t> refused = 0;
std::atomic<bool> started = false;  // all threads are there: who floods is stopped most of the time
std::atomic<bool> ending = false;
std::atomic<Clock::rep> next_report = 0;

// Whoever comes first when a report is due makes it: a thread that only waits could be kept from
// running, as the runtime stops those who try too often.
void Report(uint64_t count) {
  static const auto end = (Clock::now() + kLongest).time_since_epoch();
  const auto now = Clock::now().time_since_epoch();
  if (now > end) ending = true;
  Clock::rep due = next_report;
  if (now.count() < due) return;
  if (!next_report.compare_exchange_strong(due, Clock::duration(now + kReport).count())) return;
  std::printf("refused %lu\n", count);
}

void Count(long result) {
  if (result >= 0 || (errno != EACCES && errno != EPERM)) {
    std::printf("not refused: %d\n", result < 0 ? errno : 0);
    std::fflush(stdout);
    _exit(1);
  }
  Report(++refused);
}

void Connect(uint32_t seed) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  for (uint32_t state = seed; !ending;) {
    state = state * 1664525U + 1013904223U;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(20000 + (state >> 18) % 10000));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK | (state & 0xffff00));
    Count(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to));
  }
  close(fd);
}

void Open(const char* path) {
  while (!ending) Count(open(path, O_RDONLY | O_CLOEXEC));
}

void Call(uint64_t count) {
  for (uint64_t i = 0; !ending; ++i) {
    Count(syscall(SYS_chroot, 0, i, i * 7, i * 13));
    if (i >= count) nanosleep(&kQuarter, nullptr);
  }
}

int Run(const std::vector<std::function<void()>>& attempts) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::signal(SIGTERM, [](int) { ending = true; });
  std::vector<std::thread> threads;
  for (const auto& attempt : attempts) {
    threads.emplace_back([&attempt] {
      started.wait(false);
      attempt();
    });
  }
  started = true;
  started.notify_all();
  for (std::thread& thread : threads) thread.join();
  std::printf("total %lu\n", refused.load());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  const unsigned long count = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  std::vector<std::function<void()>> attempts;
  if (what == "call") {
    attempts.emplace_back([count] { Call(count); });
  } else if (what == "connect") {
    for (uint32_t i = 0; i < count; ++i) attempts.emplace_back([i] { Connect(i * 7919 + 1); });
  } else if (what == "open" && argc == 4) {
    attempts.assign(count, [path = argv[3]] { Open(path); });
  } else {
    std::fprintf(stderr, "usage: hostile connect THREADS | open THREADS PATH | call COUNT\n");
    return 2;
  }
  return Run(attempts);
}
