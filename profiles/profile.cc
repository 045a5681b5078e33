// SPDX-License-Identifier: Apache-2.0
#include "profiles/profile.h"

#include <algorithm>
#include <string_view>

#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Defect = std::optional<std::string>;

constexpr size_t kMaxList = 4096;
constexpr size_t kMaxText = 65536;

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > 32 || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

template <typename T, typename Key>
bool StrictlySorted(const std::vector<T>& items, Key key) {
  return std::adjacent_find(items.begin(), items.end(), [&](const T& a, const T& b) {
           return !(key(a) < key(b));
         }) == items.end();
}

Defect ExecutionDefect(const ProfileData& d) {
  if (d.argv.empty() || !IsNormalPath(d.argv[0])) return "exec: no absolute program path";
  if (d.argv.size() > kMaxList) return "exec: too many arguments";
  for (const std::string& arg : d.argv) {
    if (arg.size() > kMaxText || arg.find('\0') != std::string::npos) return "exec: bad argument";
  }
  if (d.environment.size() > kMaxList) return "env: too many variables";
  for (const EnvVar& var : d.environment) {
    if (var.name.empty() || var.name.find_first_of(std::string("=\0", 2)) != std::string::npos) {
      return "env: bad name";
    }
    if (IsSupervisorsVariable(var.name)) {
      return "env: `" + var.name + "` is the supervisor's";
    }
    if (var.value.size() > kMaxText || var.value.find('\0') != std::string::npos) {
      return "env: bad value of `" + var.name + "`";
    }
  }
  if (!StrictlySorted(
          d.environment, [](const EnvVar& v) -> const auto& { return v.name; })) {
    return "env: not sorted";
  }
  if (!IsNormalPath(d.directory)) return "directory: not a normal path";
  if (d.umask > 0777) return "umask: out of range";
  return std::nullopt;
}

Defect IdentityDefect(const ProfileData& d) {
  if (!IsName(d.name)) return "name: not a component name";
  // uid 0 needs a waiver in the policy and loses its capabilities all the same, but the overflow
  // id would make the component anybody.
  constexpr uint32_t kMaxId = 0x7fffffff;
  if (d.uid > kMaxId || d.gid > kMaxId || d.uid == 65534) return "user: out of range";
  if (d.groups.size() > 64) return "groups: too many";
  if (!StrictlySorted(d.groups, [](uint32_t g) { return g; })) return "groups: not sorted";
  for (const uint32_t group : d.groups) {
    if (group == 0 || group > kMaxId) return "groups: out of range";
  }
  return std::nullopt;
}

Defect ViewDefect(const ProfileData& d) {
  if (d.view.size() > kMaxList) return "view: too many entries";
  for (const ViewEntry& entry : d.view) {
    if (!IsNormalPath(entry.path) || entry.path == "/") return "view: bad path";
    if (entry.kind > ViewKind::kData) return "view: unknown kind";
    const bool sized = entry.kind == ViewKind::kPrivate || entry.kind == ViewKind::kRuntime;
    if (sized != (entry.size != 0)) return "view: size of `" + entry.path + "`";
    if (entry.size > 1ULL << 40) return "view: size of `" + entry.path + "`";
    const bool device = entry.kind == ViewKind::kDevice;
    if (device != entry.path.starts_with("/dev/")) return "view: device `" + entry.path + "`";
    for (const std::string_view closed : {"/proc", "/sys"}) {
      if (entry.path == closed || entry.path.starts_with(std::string(closed) + "/")) {
        return "view: `" + entry.path + "` is the runtime's";
      }
    }
    if (!entry.directory && entry.kind != ViewKind::kTripwire) return "view: directory flag";
  }
  if (!StrictlySorted(
          d.view, [](const ViewEntry& e) -> const auto& { return e.path; })) {
    return "view: not sorted";
  }
  return std::nullopt;
}

Defect LandlockDefect(const LandlockPlan& plan) {
  constexpr uint64_t kNet = landlock::kBindTcp | landlock::kConnectTcp;
  constexpr uint64_t kScopes = landlock::kScopeAbstractUnix | landlock::kScopeSignal;
  if ((plan.handled_files & ~landlock::FileRights(64)) != 0) return "landlock: unknown file right";
  if ((plan.handled_net & ~kNet) != 0) return "landlock: unknown network right";
  if ((plan.scoped & ~kScopes) != 0) return "landlock: unknown scope";
  if (plan.rules.size() > kMaxList || plan.ports.size() > kMaxList) return "landlock: too many";
  for (const LandlockRule& rule : plan.rules) {
    if (!IsNormalPath(rule.path)) return "landlock: bad path";
    if (rule.access == 0 || (rule.access & ~plan.handled_files) != 0) {
      return "landlock: access of `" + rule.path + "`";
    }
  }
  if (!StrictlySorted(
          plan.rules, [](const LandlockRule& r) -> const auto& { return r.path; })) {
    return "landlock: rules not sorted";
  }
  for (const LandlockPort& port : plan.ports) {
    if (port.access == 0 || (port.access & ~plan.handled_net) != 0) return "landlock: port access";
  }
  if (!StrictlySorted(plan.ports, [](const LandlockPort& p) { return p.port; })) {
    return "landlock: ports not sorted";
  }
  return std::nullopt;
}

Defect NetworkDefect(const ProfileData& d) {
  if (d.network > Network::kShared) return "network: unknown kind";
  if (d.network == Network::kNone && !d.landlock.ports.empty()) {
    return "network: ports in an empty network namespace";
  }
  if (d.listeners.size() > 64 || d.edges.size() > 256) return "network: too many";
  for (const Listener& listener : d.listeners) {
    if (!IsName(listener.name)) return "listener: bad name";
    if (listener.kind == ListenerKind::kUnixStream) {
      if (!IsNormalPath(listener.path) || listener.path.size() > 107) return "listener: bad path";
      if (!listener.address.empty() || listener.port != 0) return "listener: both path and port";
      if (listener.guarded) return "listener: a guard for a unix socket";
    } else if (listener.kind == ListenerKind::kTcp) {
      if (!listener.path.empty() || listener.address.empty() || listener.port == 0 ||
          listener.port > 65535) {
        return "listener: bad address";
      }
    } else if (listener.kind == ListenerKind::kVsock) {
      constexpr uint32_t kAnyPort = ~uint32_t{0};  // VMADDR_PORT_ANY
      if (!listener.path.empty() || !listener.address.empty() || listener.guarded ||
          listener.port == 0 || listener.port == kAnyPort) {
        return "listener: bad vsock port";
      }
    } else {
      return "listener: unknown kind";
    }
  }
  if (!StrictlySorted(
          d.listeners, [](const Listener& l) -> const auto& { return l.name; })) {
    return "listeners: not sorted";
  }
  for (const EdgeDirectory& edge : d.edges) {
    if (!IsNormalPath(edge.path) || edge.path == "/") return "edge: bad path";
    if (!std::binary_search(d.groups.begin(), d.groups.end(), edge.group)) {
      return "edge: the component is not in the group of `" + edge.path + "`";
    }
  }
  if (!StrictlySorted(
          d.edges, [](const EdgeDirectory& e) -> const auto& { return e.path; })) {
    return "edges: not sorted";
  }
  return std::nullopt;
}

Defect SecretsDefect(const ProfileData& d) {
  if (d.secrets.size() > 64) return "secrets: too many";
  for (const Secret& secret : d.secrets) {
    if (!IsName(secret.name)) return "secret: bad name";
    if (!IsNormalPath(secret.path) || secret.path == "/") return "secret: bad path";
  }
  if (!StrictlySorted(
          d.secrets, [](const Secret& s) -> const auto& { return s.name; })) {
    return "secrets: not sorted";
  }
  return std::nullopt;
}

Defect AttestationDefect(const ProfileData& d) {
  const Attestation& a = d.attestation;
  if (!a.given) {
    if (a == Attestation{}) return std::nullopt;
    return "attestation: not given";
  }
  if (!a.random && !a.attest) return "attestation: of nothing";
  if (a.public_key && !a.attest) return "attestation: a key without documents";
  if (a.count == 0 || a.count > 1000 || a.window_ms == 0 || a.window_ms > 3'600'000) {
    return "attestation: rate";
  }
  const auto taken = [](const auto& named) { return named.name == kAttestationName; };
  if (std::ranges::any_of(d.secrets, taken) || std::ranges::any_of(d.listeners, taken)) {
    return "attestation: its name is taken";
  }
  return std::nullopt;
}

Defect LifecycleDefect(const ProfileData& d) {
  const Lifecycle& l = d.lifecycle;
  if (l.after.size() > kMaxList) return "after: too many";
  for (const std::string& name : l.after) {
    if (!IsName(name) || name == d.name) return "after: bad name";
  }
  if (!StrictlySorted(
          l.after, [](const auto& n) -> const auto& { return n; })) {
    return "after: not sorted";
  }
  if (l.ready.kind > ReadyKind::kExit) return "ready: unknown kind";
  const bool has_path = l.ready.kind == ReadyKind::kFile || l.ready.kind == ReadyKind::kListening;
  if (has_path != IsNormalPath(l.ready.path)) return "ready: path";
  if (l.ready.exit_code > 255 || l.ready.within_ms == 0) return "ready: limits";
  if (l.watchdog_ms != 0 && l.ready.kind != ReadyKind::kNotify) return "watchdog: ready";
  if (l.stop_signal == 0 || l.stop_signal > 64) return "stop: signal";
  if (l.restart > RestartWhen::kAlways) return "restart: unknown kind";
  if (d.on_violation > OnViolation::kObserve) return "on-violation: unknown kind";
  if (d.on_violation == OnViolation::kObserve && !d.notifies) {
    return "on-violation: nobody observes without a listener";
  }
  if (d.on_violation == OnViolation::kObserve && !d.broker.calls.empty()) {
    return "on-violation: the broker's calls can't be observed";
  }
  if (d.stdin_from > Stream::kLog || d.stdout_to > Stream::kLog || d.stderr_to > Stream::kLog) {
    return "stdio: unknown kind";
  }
  if (d.stdin_from != Stream::kNull) return "stdin: only null";
  return std::nullopt;
}

// Whatever would make one run of it matter to another.
Defect InstancesDefect(const ProfileData& d) {
  const Instances& instances = d.instances;
  if (instances.at_most == 0) {
    return instances.lifetime_ms == 0 ? std::nullopt : Defect("instances: a lifetime of none");
  }
  if (instances.at_most > kMaxInstances || instances.lifetime_ms == 0) return "instances: limits";
  if (d.listeners.empty()) return "instances: without a listener";
  if (d.lifecycle.ready.kind != ReadyKind::kStarted) return "instances: ready";
  if (d.lifecycle.restart != RestartWhen::kNever) return "instances: restarted";
  if (d.lifecycle.critical) return "instances: critical";
  if (std::any_of(d.edges.begin(), d.edges.end(), [](const auto& edge) { return edge.server; })) {
    return "instances: a socket of its own making";
  }
  if (std::any_of(d.landlock.ports.begin(), d.landlock.ports.end(),
                  [](const auto& port) { return (port.access & landlock::kBindTcp) != 0; })) {
    return "instances: a port of its own";
  }
  return std::nullopt;
}

bool Allows(const Filter& filter, SeccompData data) {
  for (const uint64_t arg : {uint64_t{0}, ~uint64_t{0}}) {
    data.args.fill(arg);
    const uint32_t action = Evaluate(filter, data).action;
    if (action == kRetAllow || action == kRetLog) return true;
  }
  return false;
}

Defect FilterMeaningDefect(const ProfileData& d, const Filter& filter) {
  const uint32_t audit_arch = AuditArch(d.arch);
  for (const uint32_t foreign : {0U, 0x40000003U, 0xC000003EU, 0xC00000B7U, 0x40000028U, ~0U}) {
    if (foreign == audit_arch) continue;
    for (const uint32_t nr : {0U, 1U, 59U, 102U, 221U, ~0U}) {
      if (Evaluate(filter, {nr, foreign, 0, {}}).action != kRetKillProcess) {
        return "filter: a foreign architecture is not killed";
      }
    }
  }
  constexpr uint32_t kX32Bit = 0x40000000U;
  for (const uint32_t nr : {kX32Bit, kX32Bit + 1, kX32Bit + 41, kX32Bit + 512, ~0U}) {
    if (Allows(filter, {nr, audit_arch, 0, {}})) return "filter: x32 calls are allowed";
  }
  for (const uint32_t nr : ForbiddenCalls(d.arch)) {
    if (Allows(filter, {nr, audit_arch, 0, {}})) {
      return "filter: allows `" + std::string(SyscallName(d.arch, nr)) + "`";
    }
  }
  for (const Instruction& ins : filter) {
    if (ins.code != kReturn) continue;
    if (ins.k == kRetUserNotif && !d.notifies) return "filter: notifies without a listener";
    if (ins.k == kRetTrace && d.notifies) return "filter: a tracer beside a listener";
  }
  return std::nullopt;
}

Defect BrokerRulesDefect(const std::vector<BrokerRule>& rules) {
  if (rules.size() > kMaxList) return "broker: too many rules";
  for (const BrokerRule& rule : rules) {
    if (rule.kind > BrokerKind::kVsockConnect) return "broker: unknown kind";
    const bool vsock = rule.kind == BrokerKind::kVsockConnect;
    if (rule.port == 0 || (!vsock && rule.port > 0xffff)) return "broker: port";
    if (rule.any && (vsock || rule.address != 0)) return "broker: any address";
    if (rule.kind == BrokerKind::kUdpBind && !rule.any) return "broker: address to bind";
    // The CID of anybody is nobody, and 0.0.0.0 means another address to the kernel.
    if (!rule.any && (rule.address == ~0U || (!vsock && rule.address == 0))) {
      return "broker: address";
    }
  }
  const auto unsorted = [](const BrokerRule& a, const BrokerRule& b) { return !BrokerLess(a, b); };
  if (std::adjacent_find(rules.begin(), rules.end(), unsorted) != rules.end()) {
    return "broker: rules not sorted";
  }
  return std::nullopt;
}

// What the filter let pass would never come to the broker.
Defect BrokerDefect(const ProfileData& d) {
  const BrokerPlan& broker = d.broker;
  if (auto defect = BrokerRulesDefect(broker.rules)) return defect;
  if (broker.calls.empty()) {
    if (broker.rules.empty() && !broker.paths) return std::nullopt;
    return "broker: rules without calls";
  }
  if (!d.notifies) return "broker: without a listener nobody is asked";
  if (!StrictlySorted(broker.calls, [](uint32_t nr) { return nr; })) return "broker: not sorted";
  for (const uint32_t nr : broker.calls) {
    const std::string_view name = SyscallName(d.arch, nr);
    constexpr std::string_view kTaken[] = {"bind", "connect", "sendmsg", "sendto"};
    if (std::ranges::find(kTaken, name) == std::end(kTaken)) return "broker: unknown call";
    SeccompData data{nr, AuditArch(d.arch), 0, {}};
    data.args.fill(~uint64_t{0});
    for (const Filter* filter : {&d.filter, &d.startup}) {
      if (filter->empty()) continue;
      if (Evaluate(*filter, data).action != kRetUserNotif) return "broker: the filter decides";
    }
  }
  return std::nullopt;
}

// The supervisor decides, who must be asked, and it must come to an end.
Defect StartupDefect(const ProfileData& d) {
  if (d.startup.empty()) return std::nullopt;
  if (!d.notifies) return "startup: without a listener nobody is asked";
  if (d.lifecycle.ready.kind == ReadyKind::kStarted) return "startup: ready as soon as started";
  if (auto defect = FilterDefect(d.startup)) return "startup: " + *defect;
  if (auto defect = FilterMeaningDefect(d, d.startup)) return "startup: " + *defect;
  return std::nullopt;
}

Defect SyscallDefect(const ProfileData& d) {
  if (d.arch != Arch::kX86_64 && d.arch != Arch::kAarch64) return "arch: unknown";
  if (auto defect = FilterDefect(d.filter)) return "filter: " + *defect;
  if (auto defect = StartupDefect(d)) return defect;
  if (!StrictlySorted(d.absent, [](uint32_t nr) { return nr; })) return "absent: not sorted";
  if (d.absent.size() > 1024) return "absent: too many";
  if (auto defect = BrokerDefect(d)) return defect;
  return FilterMeaningDefect(d, d.filter);
}

}  // namespace

bool IsNormalPath(std::string_view path) {
  if (path == "/") return true;
  if (path.empty() || path[0] != '/' || path.back() == '/' || path.size() > 4095) return false;
  if (HasControl(path)) return false;
  size_t begin = 1;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    begin = end + 1;
  }
  return true;
}

bool Covers(std::string_view ancestor, std::string_view path) {
  if (ancestor == "/") return true;
  return path.starts_with(ancestor) &&
         (path.size() == ancestor.size() || path[ancestor.size()] == '/');
}

std::vector<uint32_t> ForbiddenCalls(Arch arch) {
  // Kernel code, other processes' memory, namespaces and mounts, keys outside the component, calls
  // that a filter can't see, the machine itself.
  constexpr std::string_view kNames[] = {
      "bpf", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load",
      "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "userfaultfd",
      "perf_event_open", "io_uring_setup", "io_uring_enter", "io_uring_register", "mount",
      "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen",
      "fsmount", "fsconfig", "fspick", "mount_setattr", "unshare", "setns", "open_by_handle_at",
      "keyctl", "add_key", "request_key", "reboot", "swapon", "swapoff", "acct", "quotactl",
      "quotactl_fd", "settimeofday", "clock_settime", "sethostname", "setdomainname", "iopl",
      "ioperm", "syslog", "vhangup", "lookup_dcookie", "fanotify_init", "process_madvise",
      "migrate_pages", "move_pages", "clone3", "uselib",
      // What a component denies itself comes before the recorded refusal, and is on no record.
      "landlock_restrict_self", "seccomp"};
  std::vector<uint32_t> numbers;
  for (const std::string_view name : kNames) {
    if (auto nr = SyscallNumber(arch, name)) numbers.push_back(*nr);
  }
  return numbers;
}

tl::expected<Profile, std::string> Profile::Make(ProfileData data) {
  for (auto check : {ExecutionDefect, IdentityDefect, ViewDefect, NetworkDefect, SecretsDefect,
                     AttestationDefect, LifecycleDefect, InstancesDefect, SyscallDefect}) {
    if (Defect defect = check(data)) return tl::make_unexpected(*defect);
  }
  if (Defect defect = LandlockDefect(data.landlock)) return tl::make_unexpected(*defect);
  return Profile(std::move(data));
}

}  // namespace bulkhead
