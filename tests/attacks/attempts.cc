// SPDX-License-Identifier: Apache-2.0
// What attempts are made of.
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

constexpr int kDescriptors = 256;  // no attempt has as many
// No attempt takes as long.
constexpr unsigned kLongest = 20;

bool broken_expected = false;
// Forking was refused: each attempt is made by this process.
bool no_children = false;
bool alone = false;

struct NotThere {
  Result why;
};

Result Try(const std::function<Result()>& attempt) {
  try {
    return attempt();
  } catch (const NotThere& broken) {
    return broken.why;
  } catch (const std::system_error& error) {  // a thread
    if (!broken_expected) throw;
    return error.code().value();
  }
}

Result InThisProcess(const std::function<Result()>& attempt) {
  if (alone) return Try(attempt);
  alarm(kLongest);
  const Result result = Try(attempt);
  alarm(0);
  for (int fd = STDERR_FILENO + 1; fd < kDescriptors; ++fd) close(fd);
  return result;
}

int WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) Broken("waitpid");
  }
  return status;
}

}  // namespace

Result Answer(long answer) { return answer < 0 ? errno : 0; }

void ExpectBroken() { broken_expected = true; }

void StayAlone() { alone = no_children = true; }

void Broken(std::string_view what) {
  if (broken_expected) throw NotThere{errno == 0 ? ENODATA : errno};
  std::fprintf(stdout, "broken: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               strerrorname_np(errno));
  std::fflush(stdout);
  _exit(1);
}

long Needed(long answer, std::string_view what) {
  if (answer < 0) Broken(what);
  return answer;
}

Result InChild(const std::function<Result()>& attempt) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    if (broken_expected) return InThisProcess(attempt);
    Broken("a pipe");
  }
  std::fflush(stdout);
  const pid_t child = no_children ? -1 : fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    if (!broken_expected) Broken("fork");
    no_children = true;
    return InThisProcess(attempt);
  }
  if (child == 0) {
    close(ends[0]);
    alarm(kLongest);
    const Result result = Try(attempt);
    if (write(ends[1], &result, sizeof result) != sizeof result) _exit(2);
    std::fflush(stdout);
    _exit(0);
  }
  close(ends[1]);
  const int status = WaitFor(child);
  Result result = 0;
  const bool told = read(ends[0], &result, sizeof result) == sizeof result;
  close(ends[0]);
  if (told) return result;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : kExit + WEXITSTATUS(status);
}

Result Executes(const std::function<Result()>& body) {
  // Then its end tells whether it was that program.
  if (no_children) return body();
  // The pipe is closed by an exec; what comes through it is why there was none.
  std::array<int, 2> ends{};
  Needed(pipe2(ends.data(), O_CLOEXEC), "a pipe");
  const auto child = static_cast<pid_t>(Needed(fork(), "fork"));
  if (child == 0) {
    const Result why = body();
    if (write(ends[1], &why, sizeof why) != sizeof why) _exit(2);
    _exit(1);
  }
  close(ends[1]);
  const int status = WaitFor(child);
  Result why = 0;
  const bool told = read(ends[0], &why, sizeof why) == sizeof why;
  close(ends[0]);
  if (told) return why;
  if (WIFSIGNALED(status)) return -WTERMSIG(status);
  const int code = WEXITSTATUS(status);
  return code == kRan || code == 0 ? 0 : kExit + code;
}

pid_t StartDecoy(const std::function<void()>& body) {
  std::array<int, 2> ready{};
  Needed(pipe2(ready.data(), O_CLOEXEC), "a pipe");
  const auto decoy = static_cast<pid_t>(Needed(fork(), "fork"));
  if (decoy == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    alarm(kLongest);
    body();
    if (write(ready[1], "", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  char byte = 0;
  if (read(ready[0], &byte, 1) != 1) Broken("a decoy");
  close(ready[0]);
  return decoy;
}

namespace {

// At the same address in every copy of this process.
std::array<char, kSecret.size()> secret_memory;

void Start(Place& place, bool nobody) {
  place.secret = SecretAddress();
  const pid_t peer = StartDecoy([&] {
    HoldSecret(place);
    if (nobody) BecomeNobody(place);
  });
  place.first_peer = place.last_peer = place.init = peer;
}

}  // namespace

uint64_t SecretAddress() { return reinterpret_cast<uint64_t>(secret_memory.data()); }

void HoldSecret(const Place& place) {
  kSecret.copy(secret_memory.data(), secret_memory.size());
  const int fd = open(place.decoy.c_str(), O_RDONLY);
  if (fd < 0 || (fd != 3 && dup2(fd, 3) != 3)) _exit(1);
}

void StartPeer(Place& place) { Start(place, false); }
void StartNobody(Place& place) { Start(place, true); }

pid_t OwnPid() {
  if (const pid_t pid = getpid(); pid > 0) return pid;
  // Of a process's first thread, which no attempt leaves. Every C library makes this call.
  static int cleared = 0;
  return static_cast<pid_t>(syscall(SYS_set_tid_address, &cleared));
}

Result OnOthers(const Place& place, const std::function<Result(pid_t)>& attempt) {
  Result last = ESRCH;
  const pid_t own = OwnPid();
  for (pid_t pid = place.first_peer; pid <= place.last_peer && last != 0; ++pid) {
    if (pid == place.self || pid == own) continue;
    const Result result = attempt(pid);
    // That nobody is there says less than a refusal.
    if (result != ESRCH && result != ENOENT) last = result;
    // Refused whomever it is for: nothing more is to be learnt from further numbers.
    if (result == EPERM || result == ENOSYS) return result;
  }
  return last;
}

Result OnPeers(const Place& place, const std::function<Result(pid_t)>& attempt) {
  const Result init = attempt(place.init);
  if (init == 0) return 0;
  const Result others = OnOthers(place, attempt);
  return others == ESRCH ? init : others;
}

void WriteFile(const std::string& path, std::string_view text, mode_t mode) {
  const int fd = static_cast<int>(
      Needed(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode), path));
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) Broken(path);
  close(fd);
}

Result ReadsFile(const std::string& path, int flags) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (fd < 0) return errno;
  char byte = 0;
  const Result result = read(fd, &byte, 1) == 1 ? 0 : errno;
  close(fd);
  return result;
}

Result OpensForWriting(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

namespace {

sockaddr_un At(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

}  // namespace

int ListenAt(const std::string& path) {
  const auto fd = static_cast<int>(Needed(socket(AF_UNIX, SOCK_STREAM, 0), "a socket"));
  const sockaddr_un address = At(path);
  unlink(path.c_str());
  Needed(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  Needed(listen(fd, 4), "listen");
  return fd;
}

int ConnectAt(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  const sockaddr_un address = At(path);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int why = errno;
  close(fd);
  errno = why;
  return -1;
}

std::string Slurp(int fd) {
  std::string text;
  std::array<char, 65536> buffer;
  for (ssize_t size; (size = read(fd, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(size));
  }
  return text;
}

std::string Directory(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string Name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result MakesSocket(Place& /*place*/) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

Result StatsGranted(Place& place) {
  struct stat status {};
  return Answer(stat(place.granted.c_str(), &status));
}
Result ReadsGranted(Place& place) { return ReadsFile(place.granted); }
Result ReadsDecoy(Place& place) { return ReadsFile(place.decoy); }

}  // namespace bulkhead::attacks
