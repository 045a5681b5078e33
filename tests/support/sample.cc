// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sample.h"

#include <stdexcept>

#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead::test {

Filter AllowOnly(std::initializer_list<std::string_view> names, uint32_t otherwise) {
  Filter filter{{kLoad, 0, 0, kOffsetArch},
                {kJumpEqual, 1, 0, AuditArch(NativeArch())},
                {kReturn, 0, 0, kRetKillProcess},
                {kLoad, 0, 0, kOffsetNr},
                {kJumpGreaterEqual, 0, 1, 0x40000000},
                {kReturn, 0, 0, kRetKillProcess}};
  for (const std::string_view name : names) {
    const auto nr = SyscallNumber(NativeArch(), name);
    if (!nr) throw std::invalid_argument("no call " + std::string(name));
    filter.push_back({kJumpEqual, 0, 1, *nr});
    filter.push_back({kReturn, 0, 0, kRetAllow});
  }
  filter.push_back({kReturn, 0, 0, otherwise});
  return filter;
}

ProfileData SampleProfile(const std::string& name, uint32_t number) {
  ProfileData data;
  data.name = name;
  data.argv = {"/usr/bin/true"};
  data.environment = {{"LANG", "C.UTF-8"}, {"PATH", "/usr/bin:/bin"}};
  data.uid = data.gid = 0x10000000 + number;
  for (const char* path : {"/bin", "/lib", "/lib64", "/usr/bin", "/usr/lib"}) {
    data.view.push_back({.path = path, .rule = "components." + name + ".files.read"});
  }
  data.view.insert(data.view.begin() + 3,
                   ViewEntry{.path = "/tmp",
                             .kind = ViewKind::kPrivate,
                             .size = 1U << 20,
                             .rule = "components." + name + ".files.private"});
  data.landlock.handled_files = landlock::FileRights(7);
  data.landlock.handled_net = landlock::kBindTcp | landlock::kConnectTcp;
  data.landlock.scoped = landlock::kScopeAbstractUnix | landlock::kScopeSignal;
  data.landlock.log = true;
  constexpr uint64_t kRead = landlock::kReadFile | landlock::kReadDir;
  constexpr uint64_t kWrite = kRead | landlock::kWriteFile | landlock::kTruncate |
                              landlock::kMakeReg | landlock::kRemoveFile;
  data.landlock.rules = {
      {.path = "/bin", .access = kRead | landlock::kExecute},
      {.path = "/dev/null", .access = landlock::kReadFile | landlock::kWriteFile},
      {.path = "/lib", .access = kRead | landlock::kExecute},
      {.path = "/lib64", .access = kRead | landlock::kExecute},
      {.path = "/proc", .access = kRead},
      {.path = "/tmp", .access = kWrite},
      {.path = "/usr/bin", .access = kRead | landlock::kExecute},
      {.path = "/usr/lib", .access = kRead | landlock::kExecute}};
  data.arch = NativeArch();
  data.filter = AllowOnly({"read",
                           "write",
                           "close",
                           "fstat",
                           "newfstatat",
                           "openat",
                           "mmap",
                           "mprotect",
                           "munmap",
                           "brk",
                           "exit",
                           "exit_group",
                           "rt_sigreturn",
                           "rt_sigaction",
                           "rt_sigprocmask",
                           "restart_syscall",
                           "pread64",
                           "lseek",
                           "getdents64",
                           "readlink",
                           "arch_prctl",
                           "set_tid_address",
                           "set_robust_list",
                           "rseq",
                           "prlimit64",
                           "getrandom",
                           "futex",
                           "getpid",
                           "getppid",
                           "getuid",
                           "geteuid",
                           "getgid",
                           "getegid",
                           "clock_nanosleep",
                           "nanosleep",
                           "statfs",
                           "access",
                           "ioctl",
                           "fcntl",
                           "dup",
                           "dup2",
                           "wait4",
                           "clone",
                           "kill",
                           "uname",
                           "getcwd",
                           "pipe2",
                           "pselect6",
                           "poll",
                           "sysinfo",
                           "fadvise64",
                           "unlink",
                           "unlinkat",
                           "clock_gettime",
                           "gettid",
                           "tgkill",
                           "stat",
                           "pause",
                           "vfork",
                           "execve"});
  return data;
}

BundleData SampleBundle() {
  BundleData data;
  data.enclave = "sample";
  data.target.name = "linux-6.18";
  data.target.arch = NativeArch();
  data.target.kernel_major = 6;
  data.target.kernel_minor = 18;
  data.target.platform = "none";
  data.target.features.Set(Feature::kLandlock, 7);
  for (const Feature feature :
       {Feature::kSeccompNotify, Feature::kCloseRange, Feature::kProcSubsetPid}) {
    data.target.features.Set(feature, 1);
  }
  data.requirements = {{Feature::kLandlock, 7, "one", "components.one.files"}};
  data.sinks = {{SinkKind::kStdout, ""}};
  data.output = {{{SinkKind::kFile, "/var/log/output"}, {SinkKind::kStdout, ""}}, 1 << 20};
  data.components = {SampleProfile("one", 1), SampleProfile("two", 2)};
  data.components[1].lifecycle.after = {"one"};
  data.channels = {{"pair", "one", "two", ChannelKind::kStream, 0, "channels.pair"}};
  data.assets = {{"key", {"/var/lib/key"}, {"one"}}};
  data.ledger = {{"one",
                  "components.one.files.read",
                  {{Layer::kView, "read-only bind"}},
                  Status::kEnforced,
                  Recorder::kNone,
                  "a missing path is silent"}};
  return data;
}

}  // namespace bulkhead::test
