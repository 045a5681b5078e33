// SPDX-License-Identifier: Apache-2.0
// The shipped groups of system calls (profiles/library/groups.yaml) against the tables they are
// resolved with.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/constants.h"
#include "policy/load.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr Arch kArches[] = {Arch::kX86_64, Arch::kAarch64};

struct Shipped {
  Shipped() {
    Sources sources;
    Diagnostics diagnostics;
    const auto loaded = LoadPolicyText("test.yaml", kPolicy, "/", {}, sources, diagnostics);
    for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
      BOOST_TEST_MESSAGE(RenderText(diagnostic, sources, false));
    }
    BOOST_REQUIRE(loaded.has_value());
    for (const SyscallGroup& group : loaded->policy.groups) {
      groups[group.name] = group;
    }
  }

  // Rules of the group and of those it includes.
  std::vector<SyscallRule> Flat(const std::string& name) const {
    std::vector<SyscallRule> rules;
    std::vector<std::string> open = {name};
    std::set<std::string> seen;
    while (!open.empty()) {
      const std::string next = open.back();
      open.pop_back();
      BOOST_REQUIRE_MESSAGE(groups.contains(next), next);
      if (!seen.insert(next).second) {
        continue;
      }
      for (const SyscallRule& rule : groups.at(next).calls) {
        if (rule.name.starts_with("@")) {
          open.push_back(rule.name.substr(1));
        } else {
          rules.push_back(rule);
        }
      }
    }
    return rules;
  }

  bool Has(const std::string& group, std::string_view call) const {
    const auto rules = Flat(group);
    return std::ranges::find(rules, call, &SyscallRule::name) != rules.end();
  }

  static constexpr const char* kPolicy = R"(bulkhead: 1
enclave: test
target: linux-6.18
components:
  one:
    exec: [/usr/bin/true]
    files: {execute: [/usr/bin/true]}
)";
  std::map<std::string, SyscallGroup> groups;
};

void CheckValues(const ArgTest& test, Arch arch) {
  for (const ArgValue& value : test.values) {
    if (!value.name.empty()) {
      BOOST_TEST(ConstantValue(arch, value.name).has_value(), value.name);
    }
  }
  for (const ArgTest& inner : test.inner) {
    CheckValues(inner, arch);
  }
}

BOOST_FIXTURE_TEST_SUITE(ShippedGroups, Shipped)

BOOST_AUTO_TEST_CASE(EveryEntryResolves) {
  BOOST_TEST(groups.size() >= 28U);
  for (const auto& [name, group] : groups) {
    for (const SyscallRule& rule : Flat(name)) {
      BOOST_TEST_CONTEXT(name << ": " << rule.name) {
        BOOST_TEST(IsSyscallName(rule.name));
        BOOST_TEST(!rule.why.empty());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ArgumentTestsNameArgumentsThatCanBeTested) {
  for (const auto& [name, group] : groups) {
    for (const SyscallRule& rule : group.calls) {
      for (const Arch arch : kArches) {
        for (const auto& [arg, test] : rule.args) {
          if (!SyscallNumber(arch, rule.name)) {
            continue;
          }
          BOOST_TEST_CONTEXT(name << ": " << rule.name << " " << arg) {
            const SyscallArgList args = SyscallArgs(arch, rule.name);
            const auto index = args.Find(arg);
            BOOST_TEST(index.has_value());
            BOOST_TEST((index && args[*index].type != ArgType::kPointer));
            CheckValues(test, arch);
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(NoGroupMakesNewReach) {
  const std::vector<std::string_view> closed = {
      "socket",
      "socketpair",
      "connect",
      "bind",
      "listen",
      "accept",
      "accept4",
      "execve",
      "execveat",
      "uselib",
      "mount",
      "umount2",
      "move_mount",
      "mount_setattr",
      "open_tree",
      "open_tree_attr",
      "fsopen",
      "fsconfig",
      "fsmount",
      "fspick",
      "pivot_root",
      "chroot",
      "unshare",
      "setns",
      "clone3",
      "setuid",
      "setgid",
      "setreuid",
      "setregid",
      "setresuid",
      "setresgid",
      "setfsuid",
      "setfsgid",
      "setgroups",
      "capset",
      "chown",
      "fchown",
      "lchown",
      "fchownat",
      "personality",
      "keyctl",
      "add_key",
      "request_key",
      "ptrace",
      "process_vm_readv",
      "process_vm_writev",
      "process_madvise",
      "pidfd_getfd",
      "pidfd_open",
      "pidfd_send_signal",
      "kcmp",
      "bpf",
      "perf_event_open",
      "userfaultfd",
      "seccomp",
      "io_uring_setup",
      "io_uring_enter",
      "io_uring_register",
      "io_setup",
      "splice",
      "vmsplice",
      "tee",
      "memfd_create",
      "memfd_secret",
      "pkey_mprotect",
      "remap_file_pages",
      "init_module",
      "finit_module",
      "delete_module",
      "kexec_load",
      "kexec_file_load",
      "reboot",
      "open_by_handle_at",
      "name_to_handle_at",
      "link",
      "linkat",
      "symlink",
      "symlinkat",
      "mknod",
      "mknodat",
      "quotactl",
      "swapon",
      "swapoff",
      "acct",
      "syslog",
      "iopl",
      "ioperm",
      "modify_ldt",
      "clock_settime",
      "settimeofday",
      "adjtimex",
      "clock_adjtime",
      "shmget",
      "msgget",
      "semget",
      "mq_open",
      "fanotify_init",
      "lookup_dcookie",
  };
  for (const auto& [name, group] : groups) {
    for (const std::string_view call : closed) {
      BOOST_TEST(IsSyscallName(call), call);
      BOOST_TEST(!Has(name, call), call << " is in " << name);
    }
  }
}

// Calls whose every form would be too much stand in no group without a test.
BOOST_AUTO_TEST_CASE(DangerousCallsAreAlwaysTested) {
  const std::vector<std::string_view> tested = {"clone", "ioctl",   "fcntl",     "prctl",
                                                "chmod", "sendto",  "sendmsg",   "setsockopt",
                                                "pipe2", "madvise", "prlimit64", "arch_prctl"};
  for (const auto& [name, group] : groups) {
    for (const SyscallRule& rule : group.calls) {
      if (std::ranges::find(tested, rule.name) != tested.end()) {
        BOOST_TEST(!rule.args.empty(), name << ": " << rule.name);
      }
      if (name != "executable-memory" && (rule.name == "mmap" || rule.name == "mprotect")) {
        BOOST_TEST(!rule.args.empty(), name << ": " << rule.name);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ServiceHasWhatServersMake) {
  for (const std::string_view call :
       {"read", "openat", "mmap", "clone", "futex", "epoll_wait", "recvmsg", "setitimer", "kill",
        "getrandom", "arch_prctl", "rseq", "prlimit64", "sendfile", "unlink"}) {
    BOOST_TEST(Has("service", call), call);
  }
  for (const std::string_view call : {"fork", "vfork", "wait4", "chmod", "inotify_init1"}) {
    BOOST_TEST(!Has("service", call), call);
  }
  BOOST_TEST(!Has("batch", "sendmsg"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
