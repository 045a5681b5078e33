// SPDX-License-Identifier: Apache-2.0
#include "engine/machine.h"

#include <fcntl.h>
#include <linux/reboot.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/machine_setup.h"

namespace bulkhead {
namespace {

constexpr int kRelayed = 1 << 20;  // bytes that the console may be behind
constexpr int kHandled[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPWR};

void Say(const std::string& text) { std::fprintf(stderr, "bulkhead-init: %s\n", text.c_str()); }

std::string SinceBoot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%lld.%03ld s", static_cast<long long>(now.tv_sec),
                now.tv_nsec / 1'000'000);
  return text.data();
}

// Nothing runs any more but this process; what files hold is on their disks.
[[noreturn]] void EndMachine(Kernel& kernel, MachineEnd end) {
  kernel(SYS_kill, -1, SIGKILL);
  kernel(SYS_sync);
  tcdrain(STDERR_FILENO);
  const unsigned int command =
      end == MachineEnd::kReboot ? LINUX_REBOOT_CMD_RESTART : LINUX_REBOOT_CMD_POWER_OFF;
  kernel(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, nullptr);
  // The kernel would panic if this process ended.
  for (;;) pause();
}

MachineEnd ToldEnd(int fd) {
  char word = 0;
  return read(fd, &word, 1) == 1 && word == 'r' ? MachineEnd::kReboot : MachineEnd::kPowerOff;
}

// Waits for the supervisor's end, passing on what asks for one, and reaps whatever else ends.
int Attend(pid_t supervisor, const sigset_t& handled) {
  for (;;) {
    siginfo_t info{};
    const int number = sigwaitinfo(&handled, &info);
    if (number > 0 && number != SIGCHLD) {
      kill(supervisor, number == SIGHUP ? SIGHUP : SIGTERM);
    }
    for (;;) {
      int status = 0;
      const pid_t gone = waitpid(-1, &status, WNOHANG | __WALL);
      if (gone <= 0) break;
      if (gone == supervisor) return status;
    }
  }
}

// What the supervisor says reaches the console by a process of its own, which may wait for it: a
// console takes a few kilobytes at a time, and the supervisor waits for nobody.
[[noreturn]] void Relay(int from) {
  std::array<char, 65536> text;
  for (;;) {
    const ssize_t got = read(from, text.data(), text.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) _exit(0);
    for (ssize_t at = 0; at < got;) {
      const ssize_t written = write(STDERR_FILENO, text.data() + at, static_cast<size_t>(got - at));
      if (written < 0 && errno != EINTR && errno != EAGAIN) _exit(1);
      if (written > 0) at += written;
    }
  }
}

// Until all is said that is still on its way, but not for ever.
void AwaitRelay(pid_t relay) {
  constexpr int kGlances = 500;
  for (int i = 0; i < kGlances && waitpid(relay, nullptr, WNOHANG | __WALL) == 0; ++i) {
    usleep(10'000);
  }
}

[[noreturn]] void Supervise(const MachineBoot& machine, int out, const sigset_t& before,
                            int (*boot)(const MachineBoot&)) {
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) _exit(1);
  clearenv();
  _exit(boot(machine));
}

}  // namespace

MachineEnd EndOn(std::string_view platform) {
  return platform == "nitro" ? MachineEnd::kReboot : MachineEnd::kPowerOff;
}

bool IsMachinesInit(Kernel& kernel) {
  return kernel(SYS_getpid) == 1 && kernel(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
                                           LINUX_REBOOT_CMD_CAD_OFF, nullptr) == 0;
}

void TellEnd(int end_fd, MachineEnd end) {
  const char word = end == MachineEnd::kReboot ? 'r' : 'p';
  // Whoever reads it holds the other end until this process has ended.
  [[maybe_unused]] const ssize_t written = write(end_fd, &word, 1);
}

std::string EndText(int status) {
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

void RunMachine(Kernel& kernel, int (*boot)(const MachineBoot&)) {
  const std::string began = SinceBoot();
  const auto ready = SetUpMachine(kernel);
  if (!ready) {
    Say("the machine can't be set up: " + ready.error() + "; the enclave does not boot");
    EndMachine(kernel, MachineEnd::kPowerOff);
  }
  Say("PID 1 since " + began + " after the kernel began, set up at " + SinceBoot());
  for (const std::string& note : ready->notes) Say(note);
  sigset_t handled;
  sigset_t before;
  sigemptyset(&handled);
  for (const int number : kHandled) sigaddset(&handled, number);
  sigprocmask(SIG_BLOCK, &handled, &before);
  std::array<int, 2> end{};
  std::array<int, 2> out{};
  if (pipe2(end.data(), O_CLOEXEC | O_NONBLOCK) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) {
    Say(std::string("cannot make a pipe: ") + std::strerror(errno));
    EndMachine(kernel, MachineEnd::kPowerOff);
  }
  fcntl(out[0], F_SETPIPE_SZ, kRelayed);
  const pid_t relay = fork();
  if (relay == 0) {
    close(out[1]);
    close(end[1]);
    Relay(out[0]);
  }
  const pid_t supervisor = relay < 0 ? -1 : fork();
  if (supervisor == 0) Supervise({ready->bundle, ready->signature, end[1]}, out[1], before, boot);
  if (supervisor < 0) {
    Say(std::string("cannot start the supervisor: ") + std::strerror(errno));
    EndMachine(kernel, MachineEnd::kPowerOff);
  }
  for (const int fd : {end[1], out[0], out[1]}) close(fd);
  const int status = Attend(supervisor, handled);
  const MachineEnd how = ToldEnd(end[0]);
  AwaitRelay(relay);
  Say("the enclave ended with " + EndText(status) + " at " + SinceBoot() + "; the machine is " +
      (how == MachineEnd::kReboot ? "restarted" : "switched off"));
  EndMachine(kernel, how);
}

}  // namespace bulkhead
