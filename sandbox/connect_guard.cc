// SPDX-License-Identifier: Apache-2.0
#include "sandbox/connect_guard.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <span>
#include <utility>

#include "sandbox/cgroup_mounts.h"

namespace bulkhead {
namespace {

tl::unexpected<GuardError> Error(const char* step) {
  return tl::unexpected(GuardError{step, errno});
}

long Bpf(int command, bpf_attr& attributes) {
  return syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

constexpr bpf_insn kExit = {BPF_JMP | BPF_EXIT, 0, 0, 0, 0};
// return 0: refused with EPERM
constexpr bpf_insn kNobody[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0}, kExit};
// r0 = uid (the low half); return uid == 0
constexpr bpf_insn kRootOnly[] = {
    {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_uid_gid},
    {BPF_ALU | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0},
    {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1},
    {BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 1, 0},
    {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
    kExit,
};

struct Rule {
  bpf_attach_type type;
  std::span<const bpf_insn> program;
};
constexpr Rule kRules[] = {{BPF_CGROUP_INET4_CONNECT, kNobody},
                           {BPF_CGROUP_INET6_CONNECT, kNobody},
                           {BPF_CGROUP_INET4_BIND, kRootOnly},
                           {BPF_CGROUP_INET6_BIND, kRootOnly}};

// Replaces the program of this type that stands there.
tl::expected<void, GuardError> Attach(int directory, const Rule& rule) {
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
  load.expected_attach_type = rule.type;
  load.insns = reinterpret_cast<uint64_t>(rule.program.data());
  load.insn_cnt = static_cast<uint32_t>(rule.program.size());
  load.license = reinterpret_cast<uint64_t>("Apache-2.0");
  const long program = Bpf(BPF_PROG_LOAD, load);
  if (program < 0) return Error("load");
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(directory);
  attach.attach_bpf_fd = static_cast<uint32_t>(program);
  attach.attach_type = rule.type;
  const long attached = Bpf(BPF_PROG_ATTACH, attach);
  const int error = errno;
  close(static_cast<int>(program));
  errno = error;
  if (attached < 0) return Error("attach");
  return {};
}

// In a child that shares the caller's descriptors: the number, or minus the errno.
int MakeInside(const std::string& processes, int domain, int type) {
  const long file = syscall(SYS_openat, AT_FDCWD, processes.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  const bool moved = syscall(SYS_write, file, "0", 1) == 1;  // the writer itself
  const int error = errno;
  syscall(SYS_close, file);
  if (!moved) return -error;
  const long made = syscall(SYS_socket, domain, type | SOCK_CLOEXEC, 0);
  return made < 0 ? -errno : static_cast<int>(made);
}

}  // namespace

tl::expected<ConnectGuard, GuardError> ConnectGuard::Open(const std::string& name) {
  const std::string own = FindUnifiedCgroup();
  if (own.empty()) return tl::unexpected(GuardError{"find", ENOENT});
  ConnectGuard guard(own + "/bulkhead-" + name + "-sockets");
  const char* directory = guard.directory_.c_str();
  if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
    guard.directory_.clear();
    return Error("mkdir");
  }
  const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return Error("mkdir");
  tl::expected<void, GuardError> attached;
  for (const Rule& rule : kRules) {
    if (attached) attached = Attach(fd, rule);
  }
  close(fd);
  if (!attached) return tl::unexpected(attached.error());
  return guard;
}

ConnectGuard::ConnectGuard(ConnectGuard&& other) noexcept
    : directory_(std::exchange(other.directory_, {})) {}

ConnectGuard::~ConnectGuard() {
  if (!directory_.empty()) rmdir(directory_.c_str());
}

tl::expected<int, GuardError> ConnectGuard::MakeSocket(int domain, int type) const {
  const std::string processes = directory_ + "/cgroup.procs";
  int result[2];
  if (pipe2(result, O_CLOEXEC) != 0) return Error("socket");
  const long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) {
    const int made = MakeInside(processes, domain, type);
    syscall(SYS_write, result[1], &made, sizeof made);
    for (;;) syscall(SYS_exit_group, 0);
  }
  int made = -EIO;
  if (child < 0) {
    made = -errno;
  } else {
    // The write end stays open here, so the child is waited for before the pipe is read.
    int status = 0;
    while (waitpid(static_cast<pid_t>(child), &status, 0) < 0 && errno == EINTR) {
    }
    if (fcntl(result[0], F_SETFL, O_NONBLOCK) != 0 ||
        read(result[0], &made, sizeof made) != static_cast<ssize_t>(sizeof made)) {
      made = -EIO;
    }
  }
  close(result[0]);
  close(result[1]);
  if (made < 0) return tl::unexpected(GuardError{"socket", -made});
  return made;
}

bool HasConnectGuard() {
  const auto guard = ConnectGuard::Open("probe-" + std::to_string(getpid()));
  if (!guard) return false;
  const auto made = guard->MakeSocket(AF_INET, SOCK_STREAM);
  if (!made) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(1);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool refused =
      connect(*made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno == EPERM;
  close(*made);
  return refused;
}

}  // namespace bulkhead
