// SPDX-License-Identifier: Apache-2.0
// A component that tries what it may and may not, and writes one line for each: `NAME WHAT`, where
// WHAT is `ok` or the errno's name. Then it makes /run/inside/ready and waits for a signal.
//
//   inside            all of it
//   inside violate    a call that no filter allows, and nothing else
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

constexpr const char* kSelf = "/opt/inside/inside";
constexpr const char* kCopy = "/tmp/copy";
char* const kArguments[] = {const_cast<char*>(kSelf), const_cast<char*>("again"), nullptr};
char* const kEnvironment[] = {nullptr};

void Say(const char* name, long result) {
  std::printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(errno));
}

// An exec that passes ends this program with the code 99.
template <typename Exec>
void TryExec(const char* name, Exec exec) {
  exec();
  Say(name, -1);
}

// The same in a child, which was never traced.
template <typename Exec>
void TryExecForked(const char* name, Exec exec) {
  const pid_t child = fork();
  if (child == 0) {
    exec();
    _exit(errno);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return Say(name, -1);
  errno = WEXITSTATUS(status);
  Say(name, -1);
}

bool IsProcessOrLink(const dirent& entry) {
  const char first = entry.d_name[0];
  return first == '.' || (first >= '0' && first <= '9') || entry.d_type == DT_LNK;
}

// What /proc shows beside processes: nothing of it may be readable.
void Proc() {
  DIR* proc = opendir("/proc");
  int covered = 0;
  while (const dirent* entry = proc == nullptr ? nullptr : readdir(proc)) {
    if (IsProcessOrLink(*entry)) continue;
    ++covered;
    const std::string path = std::string("/proc/") + entry->d_name;
    if (entry->d_type != DT_DIR) {
      const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK);
      if (fd >= 0 || errno != EACCES) std::printf("readable %s\n", path.c_str());
      continue;
    }
    DIR* beneath = opendir(path.c_str());
    int entries = 0;
    while (beneath != nullptr && readdir(beneath) != nullptr) ++entries;
    if (entries != 2) std::printf("listed %s\n", path.c_str());
  }
  std::printf("covered %s\n", covered > 20 ? "many" : covered > 0 ? "few" : "none");
  Say("own-status", open("/proc/self/status", O_RDONLY));
  Say("other-process", open("/proc/1/status", O_RDONLY));
  Say("sysctl", open("/proc/sys/kernel/hostname", O_RDONLY));
  Say("own-memory", open("/proc/self/mem", O_RDWR));
}

void Descriptors() {
  DIR* list = opendir("/proc/self/fd");
  std::string numbers;
  while (const dirent* entry = list == nullptr ? nullptr : readdir(list)) {
    if (entry->d_name[0] == '.' || std::stoi(entry->d_name) == dirfd(list)) continue;
    numbers += std::string(numbers.empty() ? "" : ",") + entry->d_name;
  }
  if (list != nullptr) closedir(list);
  std::printf("descriptors %s\n", numbers.c_str());
}

void Calls() {
  std::printf("uid %s\n", getuid() >= 0x10000000 ? "own" : "not its own");
  std::printf("pid %d\n", getpid());
  int pair[2];
  Say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  Say("internet", socket(AF_INET, SOCK_STREAM, 0));
  Say("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  Say("ptrace", ptrace(PTRACE_TRACEME, 0, nullptr, nullptr));
  Say("unshare", syscall(SYS_unshare, 0x10000000));
  Say("clone3", syscall(SYS_clone3, nullptr, 0));
}

void Files() {
  Say("own-program", open(kSelf, O_RDONLY));
  Say("own-program-write", open(kSelf, O_WRONLY));
  Say("shadow", open("/etc/shadow", O_RDONLY));
  Say("root-write", open("/new", O_WRONLY | O_CREAT, 0600));
  Say("private-write", open("/tmp/file", O_WRONLY | O_CREAT, 0600));
}

bool Copy(int from, int to) {
  char bytes[65536];
  for (ssize_t size = 1; size > 0;) {
    size = read(from, bytes, sizeof bytes);
    if (size < 0 || write(to, bytes, static_cast<size_t>(size)) != size) return false;
  }
  return true;
}

void Programs() {
  const int self = open(kSelf, O_RDONLY | O_CLOEXEC);
  const int copy = open(kCopy, O_RDWR | O_CREAT, 0700);
  const int memory = memfd_create("copy", 0);
  Say("copies", Copy(self, copy) && lseek(self, 0, SEEK_SET) == 0 && Copy(self, memory) ? 0 : -1);
  // The mount alone refuses code of the copy; of the program it does not.
  const auto map = [](int fd, int how) {
    return mmap(nullptr, 4096, how, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1L : 0L;
  };
  Say("map-program", map(self, PROT_READ | PROT_EXEC));
  Say("map-copy", map(copy, PROT_READ | PROT_EXEC));
  Say("map-copy-data", map(copy, PROT_READ));
  close(copy);
  const auto at = [](int fd) {
    return [fd] { syscall(SYS_execveat, fd, "", kArguments, kEnvironment, AT_EMPTY_PATH); };
  };
  const auto path = [](const std::string& name) {
    return [name] { execve(name.c_str(), kArguments, kEnvironment); };
  };
  TryExec("exec-program", path(kSelf));
  TryExec("exec-copy", path(kCopy));
  TryExec("exec-memory", path("/proc/self/fd/" + std::to_string(memory)));
  TryExec("exec-itself", path("/proc/self/exe"));
  TryExecForked("exec-forked", path(kSelf));
  TryExec("execveat-program", at(self));
  TryExec("execveat-memory", at(memory));
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc > 1 && std::string(argv[1]) == "violate") {
    std::puts("violates");
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    std::puts("goes on");
    return 0;
  }
  if (argc > 1) return 99;  // executed again
  Descriptors();
  Calls();
  Files();
  Proc();
  Programs();
  Say("ready-file", open("/run/inside/ready", O_WRONLY | O_CREAT, 0600));
  for (;;) pause();
}
