// SPDX-License-Identifier: Apache-2.0
// Which operations a component's witness has. Before the clone: this part allocates.
#include <fcntl.h>
#include <linux/securebits.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <initializer_list>
#include <string_view>

#include "profiles/landlock.h"
#include "profiles/syscalls.h"
#include "sandbox/capabilities.h"
#include "sandbox/confine.h"
#include "sandbox/launch.h"

namespace bulkhead {
namespace {

class Maker {
 public:
  explicit Maker(const LaunchPlan& plan) : plan_(plan), profile_(*plan.profile) {}

  Witness Make() {
    View();
    Namespaces();
    Capabilities();  // with one the ids could be changed
    Identity();
    Limits();
    Cgroup();
    Descriptors();
    Landlock();
    Calls();
    return std::move(witness_);
  }

 private:
  Trial& Add(TrialPhase phase, TrialKind kind, std::string_view statement, std::string what) {
    Trial& trial = witness_.trials.emplace_back();
    trial.phase = phase;
    trial.kind = kind;
    trial.what = std::move(what);
    trial.rule = "components." + profile_.name;
    if (!statement.empty()) trial.rule.append(".").append(statement);
    return trial;
  }

  void Call(TrialPhase phase, std::string_view statement, std::string what, long number,
            std::initializer_list<long> args, long expected) {
    Trial& trial = Add(phase, TrialKind::kCall, statement, std::move(what));
    trial.number = number;
    std::copy(args.begin(), args.end(), trial.args);
    trial.expected = expected;
  }

  void Mount(const std::string& path, const std::string& origin, unsigned long flags) {
    Trial& trial = Add(TrialPhase::kEntered, TrialKind::kMount, "files",
                       "the mount of `" + origin + "` has its flags");
    trial.path = path;
    trial.args[0] = static_cast<long>(flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC));
  }

  void View() {
    Mount("/", "/", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    for (const ViewOp& op : plan_.view) {
      const bool mounts = op.kind == ViewOpKind::kBindDirectory ||
                          op.kind == ViewOpKind::kBindFile || op.kind == ViewOpKind::kTmpfs ||
                          op.kind == ViewOpKind::kProc;
      if (mounts) Mount(op.path, op.origin.empty() ? op.path : op.origin, op.flags);
    }
    // There while the view was made, and nobody's to name.
    Trial& outside = Add(TrialPhase::kEntered, TrialKind::kOpen, "files",
                         "`" + plan_.staging + "` of the enclave is not to be found");
    // Over `..`, where pivot_root(2) leaves the old root until it is detached.
    outside.path = "/.." + plan_.staging;
    outside.args[0] = O_PATH;
    outside.expected = -ENOENT;
  }

  void Namespaces() {
    for (const std::string_view name : {"pid", "mnt", "ipc", "uts", "net"}) {
      if (name == "net" && profile_.network == Network::kShared) continue;
      Trial& trial = Add(TrialPhase::kEntered, TrialKind::kNamespace, "",
                         "its " + std::string(name) + " namespace is its own");
      trial.path = "/proc/self/ns/" + std::string(name);
      std::array<char, 64> text{};
      const ssize_t size = readlink(trial.path.c_str(), text.data(), text.size() - 1);
      trial.other.assign(text.data(), size < 0 ? 0 : static_cast<size_t>(size));
      // Without it there is nothing to compare with.
      if (size <= 0) trial.expected = 1;
    }
  }

  void Identity() {
    const auto ids = [&](const char* what, long number, uint32_t id) {
      Trial& trial = Add(TrialPhase::kConfined, TrialKind::kIds, "user",
                         std::string("its ") + what + " is " + std::to_string(id) + " for good");
      trial.number = number;
      trial.args[0] = id;
    };
    ids("uid", SYS_getresuid, profile_.uid);
    ids("gid", SYS_getresgid, profile_.gid);
    Add(TrialPhase::kConfined, TrialKind::kGroups, "user", "its groups are the policy's");
    if (profile_.uid != 0) {
      Call(TrialPhase::kConfined, "user", "setresuid to 0 is refused", SYS_setresuid, {0, 0, 0},
           -EPERM);
      Call(TrialPhase::kConfined, "user", "setresgid to 0 is refused", SYS_setresgid, {0, 0, 0},
           -EPERM);
    }
  }

  void Capabilities() {
    constexpr long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                           SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                           SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    Add(TrialPhase::kConfined, TrialKind::kCapabilities, "user", "its capability sets are empty");
    const int known = KnownCapabilities();
    for (int capability = 0; capability < known; ++capability) {
      Call(TrialPhase::kConfined, "user",
           "capability " + std::to_string(capability) + " is not in the bounding set", SYS_prctl,
           {PR_CAPBSET_READ, capability}, 0);
    }
    Call(TrialPhase::kConfined, "user", "its securebits are locked", SYS_prctl, {PR_GET_SECUREBITS},
         kBits);
    Call(TrialPhase::kConfined, "user", "no_new_privs is set", SYS_prctl, {PR_GET_NO_NEW_PRIVS}, 1);
  }

  void Limit(std::string_view name, int resource, uint64_t value) {
    if (value == 0) return;
    Trial& trial = Add(TrialPhase::kConfined, TrialKind::kLimit, "limits." + std::string(name),
                       "the limit of `" + std::string(name) + "` is the policy's");
    trial.args[0] = resource;
    trial.args[1] = static_cast<long>(value);
  }

  void Limits() {
    Limit("core", RLIMIT_CORE, 1);
    if (profile_.limits.processes != 0) {
      Limit("processes", RLIMIT_NPROC, ProcessLimit(profile_));
    }
    Limit("files", RLIMIT_NOFILE, profile_.limits.files);
    Limit("file-size", RLIMIT_FSIZE, profile_.limits.file_size);
  }

  void Cgroup() {
    if (plan_.cgroup.empty()) return;
    Trial& trial = Add(TrialPhase::kEntered, TrialKind::kCgroup, "limits", "it is in its cgroup");
    trial.other = "/" + plan_.cgroup + "\n";
    trial.args[0] = plan_.cgroup_levels;
  }

  // Behind its own, the handshake and the program nothing is open.
  void Descriptors() {
    const LandlockPlan& landlock = profile_.landlock;
    const bool ruleset =
        landlock.handled_files != 0 || landlock.handled_net != 0 || landlock.scoped != 0;
    Trial& trial = Add(TrialPhase::kEntered, TrialKind::kDescriptors, "",
                       "it holds no descriptor that it is not given");
    trial.args[0] = ListenerNumber(plan_) + (ruleset ? 1 : 0);
  }

  uint64_t Granted(std::string_view path) const {
    uint64_t granted = 0;
    for (const LandlockRule& rule : profile_.landlock.rules) {
      const bool above = path == rule.path || rule.path == "/" ||
                         (path.starts_with(rule.path) && path[rule.path.size()] == '/');
      if (above) granted |= rule.access;
    }
    return granted;
  }

  bool GrantsPort(uint16_t port, uint64_t access) const {
    return std::ranges::any_of(profile_.landlock.ports, [&](const LandlockPort& rule) {
      return rule.port == port && (rule.access & access) != 0;
    });
  }

  // What the view and the modes let through.
  void Landlock() {
    const LandlockPlan& plan = profile_.landlock;
    const auto refused = [&](TrialKind kind, std::string_view statement, std::string what,
                             long error) -> Trial& {
      Trial& trial = Add(TrialPhase::kConfined, kind, statement, std::move(what));
      trial.expected = error;
      ++witness_.landlock_refusals;
      return trial;
    };
    if ((plan.handled_files & landlock::kReadDir & ~Granted("/")) != 0) {
      Trial& trial = refused(TrialKind::kOpen, "files", "listing / is refused", -EACCES);
      trial.path = "/";
      trial.args[0] = O_RDONLY | O_DIRECTORY;
    }
    constexpr uint64_t kBoth = landlock::kReadFile | landlock::kWriteFile;
    if ((plan.handled_files & kBoth & ~Granted("/dev/null")) == 0) {
      Trial& trial =
          Add(TrialPhase::kConfined, TrialKind::kOpen, "files", "opening /dev/null is allowed");
      trial.path = "/dev/null";
      trial.args[0] = O_RDWR;
    }
    if ((plan.handled_net & landlock::kBindTcp) != 0 && !GrantsPort(0, landlock::kBindTcp)) {
      refused(TrialKind::kBind, "network.tcp", "binding a port of the kernel's choice is refused",
              -EACCES);
    }
    if ((plan.handled_net & landlock::kConnectTcp) != 0 && !GrantsPort(0, landlock::kConnectTcp)) {
      refused(TrialKind::kConnect, "network.tcp", "connecting to port 0 is refused", -EACCES);
    }
    if ((plan.scoped & landlock::kScopeAbstractUnix) != 0) {
      refused(TrialKind::kAbstract, "network.unix",
              "connecting to an abstract socket of another domain is refused", -EPERM);
    }
  }

  // What the filter answers to the call with nothing but zeros: minus an errno; nothing where it
  // would let it pass, or kill.
  std::optional<long> Refusal(uint32_t nr, long by_supervisor) const {
    const uint32_t action = Evaluate(profile_.filter, {nr, AuditArch(profile_.arch), 0, {}}).action;
    if (action == kRetUserNotif) return by_supervisor;
    if ((action & 0xffff0000U) == kRetErrno) return -static_cast<long>(action & 0xffffU);
    return std::nullopt;
  }

  // Calls that with zeros do nothing, and of which no kernel says what is said here.
  void Calls() {
    const uint32_t chroot = SyscallNumber(profile_.arch, "chroot").value_or(0);
    if (const auto refusal = Refusal(chroot, -EPERM)) {
      Call(TrialPhase::kFiltered, "syscalls", "`chroot` is refused", chroot, {}, *refusal);
    }
    for (const std::string_view name : {"clone3", "io_uring_setup", "openat2", "statx"}) {
      const auto nr = SyscallNumber(profile_.arch, name);
      if (!nr || !std::ranges::binary_search(profile_.absent, *nr)) continue;
      if (const auto refusal = Refusal(*nr, -ENOSYS)) {
        Call(TrialPhase::kFiltered, "syscalls", "`" + std::string(name) + "` is absent", *nr, {},
             *refusal);
        break;
      }
    }
    // The kernel itself would say that there is no such descriptor. Until the program is executed
    // the supervisor makes no calls for it.
    const auto connect = SyscallNumber(profile_.arch, "connect");
    if (connect && std::ranges::binary_search(profile_.broker.calls, *connect)) {
      Call(TrialPhase::kFiltered, "network", "`connect` is the broker's", *connect, {-1, 0, 0},
           -EPERM);
    }
    // In every filter's base: a failure is reported by it.
    Call(TrialPhase::kFiltered, "syscalls", "`write` is allowed", SYS_write, {-1, 0, 0}, -EBADF);
  }

  const LaunchPlan& plan_;
  const ProfileData& profile_;
  Witness witness_;
};

}  // namespace

Witness PlanWitness(const LaunchPlan& plan) { return Maker(plan).Make(); }

}  // namespace bulkhead
