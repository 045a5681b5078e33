// SPDX-License-Identifier: Apache-2.0
// Naive rules. Each is in force and looks closed; none of them is enough.
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#include "profiles/landlock.h"
#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

// The kernel's own layouts (include/uapi/linux/landlock.h), which Debian 12's header has not.
struct RulesetAttr {
  uint64_t files;
  uint64_t net;
};
struct [[gnu::packed]] PathBeneath {
  uint64_t access;
  int32_t parent;
};
struct NetPort {
  uint64_t access;
  uint64_t port;
};

void NoNewPrivileges() { Needed(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs"); }

using Program = std::vector<sock_filter>;

uint32_t ArgumentOffset(unsigned arg, bool high) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args) + arg * sizeof(uint64_t) +
                               (high ? sizeof(uint32_t) : 0));
}

// Loads half of a register and goes on where the test holds; the other jump is set by Close.
void Append(Program& program, unsigned arg, bool high, uint16_t jump, uint32_t value) {
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ArgumentOffset(arg, high)));
  program.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | jump | BPF_K), value, 0, 0));
}

void AppendTest(Program& program, const Test& test) {
  const auto low = static_cast<uint32_t>(test.value);
  const auto high = static_cast<uint32_t>(test.value >> 32);
  switch (test.kind) {
    case Test::Kind::kEquals64:
      Append(program, test.arg, false, BPF_JEQ, low);
      Append(program, test.arg, true, BPF_JEQ, high);
      return;
    case Test::Kind::kBits32:
      program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ArgumentOffset(test.arg, false)));
      program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, low));
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 0));
      return;
    case Test::Kind::kAbove32:
      Append(program, test.arg, false, BPF_JGT, low);
      return;
    case Test::Kind::kDiffers32:
      Append(program, test.arg, false, BPF_JEQ, low);
      program.back().jt = 1;  // marks the jump that leaves where the test holds
      return;
  }
}

// Every test that fails goes behind the block of this denial.
void Close(Program& program, size_t begin) {
  for (size_t i = begin; i < program.size(); ++i) {
    if (BPF_CLASS(program[i].code) != BPF_JMP) continue;
    const auto distance = static_cast<uint8_t>(program.size() - i - 1);
    if (program[i].jt == 1) {
      program[i].jt = distance;
    } else {
      program[i].jf = distance;
    }
  }
}

Program Compile(const std::vector<Denial>& denials, uint32_t action) {
  Program program;
  for (const Denial& denial : denials) {
    const size_t begin = program.size();
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(denial.nr), 0, 0));
    for (const Test& test : denial.when) AppendTest(program, test);
    program.push_back(BPF_STMT(BPF_RET | BPF_K, action));
    Close(program, begin);
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return program;
}

long Load(const std::vector<Denial>& denials, uint32_t action, unsigned flags) {
  Program program = Compile(denials, action);
  const sock_fprog fprog{static_cast<uint16_t>(program.size()), program.data()};
  NoNewPrivileges();
  return Needed(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog), "a filter");
}

}  // namespace

void Restrict(const Landlock& rules) {
  const RulesetAttr attr{rules.files, rules.net};
  const auto ruleset = static_cast<int>(
      Needed(syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0), "a ruleset"));
  for (const PathRule& rule : rules.paths) {
    const PathBeneath beneath{rule.access, open(rule.path.c_str(), O_PATH | O_CLOEXEC)};
    Needed(syscall(SYS_landlock_add_rule, ruleset, landlock::kRuleTypePathBeneath, &beneath, 0),
           rule.path);
    close(beneath.parent);
  }
  for (const uint16_t number : rules.connect) {
    const NetPort port{landlock::kConnectTcp, number};
    Needed(syscall(SYS_landlock_add_rule, ruleset, landlock::kRuleTypeNetPort, &port, 0), "a port");
  }
  NoNewPrivileges();
  Needed(syscall(SYS_landlock_restrict_self, ruleset, 0), "landlock_restrict_self");
  close(ruleset);
}

void DenyAllFiles(Place& place) {
  Restrict({.files = landlock::FileRights(landlock::kLogAbi),
            .paths = {{place.granted, landlock::kReadFile}}});
}

void Deny(const std::vector<Denial>& denials) { Load(denials, SECCOMP_RET_ERRNO | 1, 0); }

int DenyByListener(const std::vector<Denial>& denials) {
  return static_cast<int>(Load(denials, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER));
}

void DenyByTracer(const std::vector<Denial>& denials) { Load(denials, SECCOMP_RET_TRACE, 0); }

void BecomeNobody(Place& /*place*/) {
  constexpr uid_t kNobody = 65534;
  Needed(setgroups(0, nullptr), "setgroups");
  Needed(setresgid(kNobody, kNobody, kNobody), "setresgid");
  Needed(setresuid(kNobody, kNobody, kNobody), "setresuid");
  // Dumpable again, as a program is that was executed with this uid.
  Needed(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable");
}

void EnterJail(Place& place) {
  const std::string jail = place.own + "/jail";
  mkdir(jail.c_str(), 0755);
  for (size_t at = 1; (at = place.granted.find('/', at)) != std::string::npos; ++at) {
    mkdir((jail + place.granted.substr(0, at)).c_str(), 0755);
  }
  WriteFile(jail + place.granted, "granted");
  // For a tool that shows the processes of its namespace.
  mkdir((jail + "/proc").c_str(), 0755);
  Needed(mount("proc", (jail + "/proc").c_str(), "proc", 0, nullptr), "a /proc");
  Needed(chroot(jail.c_str()), "chroot");
}

}  // namespace bulkhead::attacks
