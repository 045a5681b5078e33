// SPDX-License-Identifier: Apache-2.0
// A component that keeps trying what its policy refuses, faster than an interpreter could:
//
// clang-format off
//   hostile connect THREADS      TCP connections on the loopback, each to another address and port
//   hostile open THREADS PATH    opens a file
//   hostile unstopped THREADS    as connect, and timers send it SIGCONT, thousands of times a second
//   hostile headless THREADS     as unstopped, and its first thread has ended
//   hostile output THREADS       prints lines, as fast as they are taken
//   hostile calls THREADS        one system call, as fast as it is answered
//   hostile absent THREADS       one that is not there, to this kernel's callers
//   hostile dying THREADS        system calls of children that are killed meanwhile
//   hostile call COUNT           system calls, each with other registers; then four a second
//   hostile pattern COUNT        so many system calls in a fixed pattern, once it gets SIGUSR1
//   hostile denied COUNT PATH    the same with what Landlock refuses: seven times of ten it opens the
//                                file, three times it connects to the port 9 of the loopback
//   hostile once KIND            one refused call, of the KIND registers, path or address; says so
//                                before it, and if it goes on
//   hostile hidden COUNT PORT    so many calls that are not there, or threads that connect to the
//                                PORT; then 50 refused calls that a timer interrupts
// clang-format on
//
// It writes `refused N` twice a second, and ends at SIGTERM or after a minute (`pattern`: after its
// count, or ten minutes), with `total N`:
// every attempt that it began was answered by then. An attempt that is not refused ends it with
// code 1.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
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
std::chrono::seconds longest(60);
constexpr timespec kQuarter{0, 250'000'000};

std::atomic<uint64_t> refused = 0;
std::atomic<bool> started = false;  // all threads are there: who floods is stopped most of the time
std::atomic<bool> ending = false;
std::atomic<Clock::rep> next_report = 0;

// Whoever is stopped by a signal goes on with another one, and the kernel sends it. A SIGCONT that
// is pending when the stop comes is dropped and its timer with it, so there are slower ones, which
// seldom are; and all are set anew now and then.
constexpr size_t kTimers = 10;
timer_t timers[kTimers];
std::atomic<bool> continuing = false;
bool headless = false;

void SetTimers() {
  for (size_t i = 0; i < kTimers; ++i) {
    const timespec often{0, 200'000L << i};
    const itimerspec both{often, often};
    timer_settime(timers[i], 0, &both, nullptr);
  }
}

void StartContinuing() {
  // A timer whose signal is ignored is not started again (Linux 6.13).
  std::signal(SIGCONT, [](int) {});
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGCONT;
  for (timer_t& timer : timers) {
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) continue;
    std::printf("no timer: %d\n", errno);
    std::fflush(stdout);
    _exit(1);
  }
  SetTimers();
  continuing = true;
}

// Whoever comes first when a report is due makes it: a thread that only waits could be kept from
// running, as the runtime stops those who try too often.
void Report(uint64_t count) {
  static const auto end = (Clock::now() + longest).time_since_epoch();
  const auto now = Clock::now().time_since_epoch();
  if (now > end) ending = true;
  Clock::rep due = next_report;
  if (now.count() < due) return;
  if (!next_report.compare_exchange_strong(due, Clock::duration(now + kReport).count())) return;
  if (continuing) SetTimers();
  std::printf("refused %lu\n", count);
}

void Count(long result, int also = EACCES) {
  if (result >= 0 || (errno != also && errno != EPERM)) {
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

void Print() {
  const std::string line(1000, '.');
  while (!ending) std::puts(line.c_str());
}

void Call(uint64_t count) {
  for (uint64_t i = 0; !ending; ++i) {
    Count(syscall(SYS_chroot, 0, i, i * 7, i * 13));
    if (i >= count) nanosleep(&kQuarter, nullptr);
  }
}

// Callers that are gone before they are answered.
void Die() {
  while (!ending) {
    const pid_t caller = fork();
    if (caller == 0) {
      syscall(SYS_chroot, 0);
      _exit(0);
    }
    if (caller < 0) continue;
    sched_yield();
    kill(caller, SIGKILL);
    waitpid(caller, nullptr, 0);
    Report(++refused);
  }
}

// All six registers are told, as they are what is recorded: one that is left over would make of
// each call another.
long Try(long call, long first = 0, long second = 0) {
  return syscall(call, first, second, 0L, 0L, 0L, 0L);
}

void AwaitSignal() {
  sigset_t begin;
  sigemptyset(&begin);
  sigaddset(&begin, SIGUSR1);
  int signal = 0;
  std::printf("waiting\n");
  sigwait(&begin, &signal);
}

// accounting_test.py knows the numbers of these two.
void Denied(uint64_t count, const char* path) {
  AwaitSignal();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (uint64_t i = 0; i < count && !ending; ++i) {
    if (i % 10 < 7) {
      Count(open(path, O_RDONLY | O_CLOEXEC));
    } else {
      Count(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to));
    }
  }
  close(fd);
}

void Pattern(uint64_t count) {
  AwaitSignal();
  for (uint64_t i = 0; i < count && !ending; ++i) {
    switch (i % 10) {
      case 4:
      case 5:
        Count(Try(SYS_socket, AF_VSOCK, SOCK_STREAM));
        break;
      case 6:
        Count(Try(SYS_ptrace));
        break;
      case 7:
        Count(Try(SYS_mount));
        break;
      case 8:
        Count(Try(SYS_setns, -1));
        break;
      case 9:
        Count(Try(SYS_io_uring_setup, 1), ENOSYS);
        break;
      default:
        Count(Try(SYS_chroot));
    }
  }
}

int Once(const std::string& kind) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto say = [](const std::string& line) {
    return write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  };
  if (!say("tries\n")) return 1;
  if (kind == "registers") Try(SYS_setns, -1);
  if (kind == "path") syscall(SYS_chroot, "/");
  if (kind == "address") connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  return say("goes on\n") ? 0 : 1;
}

void ConnectFor(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

int Hidden(unsigned long fill, uint16_t port) {
  constexpr uint64_t kAttempts = 50;
  for (int i = 0; port != 0 && i < 60; ++i) std::thread(ConnectFor, port).detach();
  const timespec while_they_begin{0, port != 0 ? 500'000'000 : 0};
  nanosleep(&while_they_begin, nullptr);
  for (unsigned long i = 0; i < fill; ++i) Try(SYS_io_uring_setup, 1);
  struct sigaction interrupts {};
  interrupts.sa_handler = [](int) {};
  sigaction(SIGALRM, &interrupts, nullptr);
  const itimerval often{{0, 5000}, {0, 5000}};
  setitimer(ITIMER_REAL, &often, nullptr);
  int taken = 0;
  for (uint64_t i = 0; i < kAttempts; ++i) {
    if (Try(SYS_setns, -1, static_cast<long>(i)) < 0 && errno == EINTR) ++taken;
  }
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  std::printf("taken %d\n", taken);
  std::fflush(stdout);
  _exit(0);
}

int Run(const std::vector<std::function<void()>>& attempts) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::signal(SIGTERM, [](int) { ending = true; });
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  std::vector<std::thread> threads;
  threads.reserve(attempts.size());
  for (const auto& attempt : attempts) {
    threads.emplace_back([&attempt] {
      started.wait(false);
      attempt();
    });
  }
  started = true;
  started.notify_all();
  if (headless) syscall(SYS_exit, 0);
  for (std::thread& thread : threads) thread.join();
  std::printf("total %lu\n", refused.load());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  const unsigned long count = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  std::vector<std::function<void()>> attempts;
  if (what == "once") return Once(argv[2]);
  if (what == "hidden" && argc == 4) {
    return Hidden(count, static_cast<uint16_t>(std::strtoul(argv[3], nullptr, 10)));
  }
  if (what == "call") {
    attempts.emplace_back([count] { Call(count); });
  } else if (what == "pattern") {
    longest = std::chrono::minutes(10);
    attempts.emplace_back([count] { Pattern(count); });
  } else if (what == "denied" && argc == 4) {
    longest = std::chrono::minutes(10);
    attempts.emplace_back([count, path = argv[3]] { Denied(count, path); });
  } else if (what == "calls") {
    attempts.assign(count, [] {
      while (!ending) Count(syscall(SYS_chroot, 0));
    });
  } else if (what == "absent") {
    attempts.assign(count, [] {
      while (!ending) Count(Try(SYS_io_uring_setup, 1), ENOSYS);
    });
  } else if (what == "dying") {
    attempts.assign(count, Die);
  } else if (what == "output") {
    attempts.assign(count, Print);
  } else if (what == "connect" || what == "unstopped" || what == "headless") {
    if (what != "connect") StartContinuing();
    headless = what == "headless";
    for (uint32_t i = 0; i < count; ++i) attempts.emplace_back([i] { Connect(i * 7919 + 1); });
  } else if (what == "open" && argc == 4) {
    attempts.assign(count, [path = argv[3]] { Open(path); });
  } else {
    std::fprintf(
        stderr,
        "usage: hostile connect THREADS | open THREADS PATH | unstopped THREADS |\n"
        "               headless THREADS |\n"
        "               output THREADS | calls THREADS | absent THREADS | dying THREADS |\n"
        "               call COUNT | pattern COUNT | denied COUNT PATH | once KIND | "
        "hidden COUNT PORT\n");
    return 2;
  }
  return Run(attempts);
}
