// SPDX-License-Identifier: Apache-2.0
// What there is to attack outside compartments: made around a supervisor, which inherits what a
// careless starter leaves it, and watched, so that whether something was reached is seen from
// there.
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

struct Watched {
  int fd;
  std::string_view what;
};

void Write(const Report& report, std::string_view what) {
  const int file =
      open(report.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0600);
  const std::string line = std::string(report.mark) + std::string(what) + "\n";
  if (write(file, line.data(), line.size()) < 0) _exit(1);
  close(file);
}

// Each time that one of them can be read somebody was here.
[[noreturn]] void Watch(const std::vector<Watched>& watched, const Report& report) {
  std::vector<pollfd> polled;
  polled.reserve(watched.size());
  for (const Watched& one : watched) polled.push_back({one.fd, POLLIN, 0});
  for (;;) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    for (size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      std::array<char, sizeof(signalfd_siginfo)> bytes{};
      const int client = accept4(polled[i].fd, nullptr, nullptr, SOCK_CLOEXEC);
      if (client >= 0) {
        close(client);
      } else if (read(polled[i].fd, bytes.data(), bytes.size()) < 0) {
        polled[i].fd = -1;
      }
      Write(report, watched[i].what);
    }
  }
}

// All signals that can be waited for.
int Signals() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  return signalfd(-1, &all, SFD_CLOEXEC);
}

// Serves nobody and notes who comes. It has the secret in memory and the decoy at descriptor 3.
void StartWatcher(Place& place, const Report& report) {
  place.secret = SecretAddress();
  // What HoldSecret puts at descriptor 3 is none of these.
  const int third = dup(STDIN_FILENO);
  const int tcp = ListenOnLoopback(place.other_port);
  const int udp = ReceiveOnLoopback(place.other_port);
  const int edge = ListenAt(place.other_edge);
  Needed(chmod(place.other_edge.c_str(), 0777), place.other_edge);
  const AbstractSockets abstract = ListenAbstractly();
  const pid_t watcher = fork();
  if (watcher == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    HoldSecret(place);
    Watch({{tcp, "a connection to the TCP port"},
           {udp, "a datagram to the UDP port"},
           {edge, "a connection to the socket"},
           {abstract.stream, "a connection to the abstract socket"},
           {abstract.datagrams, "a message to the abstract socket"},
           {Signals(), "a signal"}},
          report);
  }
  for (const int fd : {third, tcp, udp, edge, abstract.stream, abstract.datagrams}) close(fd);
}

constexpr std::string_view kDecoy = "decoy";
constexpr mode_t kDecoyMode = 0666;

void Print(const Place& place) {
  for (const std::string& word : WordsOf(place)) std::cout << word << '\n';
  std::cout << '\n' << std::flush;
}

}  // namespace

Place Surround(const std::string& directory, const Report& report) {
  umask(0);
  Place place;
  place.decoy = directory + "/others/decoy";
  place.other_edge = directory + "/others/edge";
  place.policy = directory + "/policy.bundle";
  place.audit = directory + "/log/audit.jsonl";
  place.terminal_path = "/dev/tty";
  place.listener = -1;
  place.handle.clear();
  Needed(mkdir(Directory(place.decoy).c_str(), 0777), place.decoy);
  WriteFile(place.decoy, kDecoy, kDecoyMode);
  StartWatcher(place, report);
  LeaveIpc(place);
  LeaveKey(place);
  LeaveOpen(place);
  // Inside, processes have numbers of their own, which are small.
  constexpr pid_t kLastInside = 4096;
  const Place everybody;
  place.first_peer = everybody.first_peer;
  place.last_peer = kLastInside;
  place.init = everybody.init;
  return place;
}

void RaiseLoopback() {
  const auto fd = static_cast<int>(Needed(socket(AF_INET, SOCK_DGRAM, 0), "a socket"));
  ifreq request{};
  std::string_view("lo").copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP;
  Needed(ioctl(fd, SIOCSIFFLAGS, &request), "the loopback");
  close(fd);
}

void StartGuard(const std::string& decoy, const Report& report) {
  if (fork() != 0) return;
  for (;;) {
    poll(nullptr, 0, 200);
    struct stat info {};
    const int fd = open(decoy.c_str(), O_RDONLY | O_CLOEXEC);
    const bool same = fd >= 0 && fstat(fd, &info) == 0 && info.st_uid == 0 &&
                      info.st_mode == (S_IFREG | kDecoyMode) && Slurp(fd) == kDecoy;
    close(fd);
    if (same) continue;
    Write(report, "the file outside was changed");
    _exit(1);
  }
}

void Become(std::vector<std::string> words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  Broken(argv[0]);
}

int Outside(const std::string& directory) {
  Needed(unshare(CLONE_NEWNS | CLONE_NEWIPC), "namespaces");
  Needed(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private mounts");
  Needed(mount("tmpfs", "/dev/shm", "tmpfs", 0, nullptr), "/dev/shm");
  Print(Surround(directory, {directory + "/reached", ""}));
  // What is to be started with all this around it.
  std::vector<std::string> words;
  for (std::string word; std::getline(std::cin, word);) words.push_back(word);
  if (words.empty()) return 0;
  Become(std::move(words));
}

}  // namespace bulkhead::attacks
