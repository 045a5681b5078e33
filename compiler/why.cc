// SPDX-License-Identifier: Apache-2.0
#include "compiler/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "compiler/constants.h"
#include "compiler/planner.h"
#include "profiles/landlock.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

using Answer = tl::expected<WhyAnswer, std::string>;

// --- files ---

struct FileAction {
  std::string_view name;
  uint64_t access;
  bool writes;
};

constexpr FileAction kFileActions[] = {
    {"read", landlock::kReadFile, false},
    {"write", landlock::kWriteFile, true},
    {"create", landlock::kMakeReg, true},
    {"execute", landlock::kExecute, false},
};

bool IsRuntimeFile(std::string_view path) {
  for (const char* own : {"/etc/passwd", "/etc/group", "/dev/null", "/dev/zero", "/dev/full",
                          "/dev/random", "/dev/urandom"}) {
    if (path == own) return true;
  }
  return Covers("/dev/shm", path) || Covers("/proc", path);
}

bool RuntimeWritable(std::string_view path) { return Covers("/dev", path); }

const ViewEntry* EntryFor(const ProfileData& profile, std::string_view path) {
  const ViewEntry* best = nullptr;
  for (const ViewEntry& entry : profile.view) {
    if (!Covers(entry.path, path)) continue;
    if (best == nullptr || entry.path.size() > best->path.size()) best = &entry;
  }
  return best;
}

bool IsWritable(ViewKind kind) {
  return kind == ViewKind::kWritable || kind == ViewKind::kState || kind == ViewKind::kRuntime ||
         kind == ViewKind::kPrivate || kind == ViewKind::kDevice;
}

ControlVerdict ViewVerdict(const ProfileData& profile, std::string_view path,
                           const FileAction& action, WhyAnswer& answer) {
  const ViewEntry* entry = EntryFor(profile, path);
  if (entry == nullptr) {
    if (IsRuntimeFile(path)) {
      const bool ok = (!action.writes || RuntimeWritable(path)) && action.name != "execute";
      answer.rule = "components." + profile.name + ".files";
      return {Layer::kView, ok, "made by the runtime"};
    }
    answer.rule = "components." + profile.name + ".files";
    return {Layer::kView, false, "not in the view: ENOENT"};
  }
  answer.rule = entry->rule;
  if (entry->kind == ViewKind::kTripwire) {
    const bool there = entry->path == path;
    return {Layer::kView, there,
            there ? "an empty tripwire stands there" : "not in the empty tripwire there: ENOENT"};
  }
  if (action.writes && !IsWritable(entry->kind)) {
    return {Layer::kView, false, "on a read-only mount"};
  }
  if (action.name == "execute" && entry->kind != ViewKind::kReadOnly) {
    return {Layer::kView, false, "on a mount without execution"};
  }
  return {Layer::kView, true, "in the view by " + entry->path};
}

ControlVerdict LandlockVerdict(const ProfileData& profile, std::string_view path, uint64_t access) {
  uint64_t granted = 0;
  std::string by;
  for (const LandlockRule& rule : profile.landlock.rules) {
    if (!Covers(rule.path, path)) continue;
    if ((rule.access & access) != 0) by = rule.path;
    granted |= rule.access;
  }
  const bool ok = (access & profile.landlock.handled_files & ~granted) == 0;
  return {Layer::kLandlock, ok, ok ? "granted beneath " + by : "no rule grants it: EACCES"};
}

uint32_t ActionOf(const ProfileData& profile, std::string_view call,
                  std::array<uint64_t, 6> args = {}) {
  const auto nr = SyscallNumber(profile.arch, call);
  if (!nr) return kRetKillProcess;
  return Evaluate(profile.filter, {*nr, AuditArch(profile.arch), 0, args}).action;
}

void Conclude(const ProfileData& profile, WhyAnswer& answer) {
  answer.allowed = std::all_of(answer.controls.begin(), answer.controls.end(),
                               [](const ControlVerdict& verdict) { return verdict.allows; });
  if (answer.allowed) return;
  // The layers answer in the kernel's order: seccomp at the call, then the mounts, then Landlock.
  for (const Layer layer :
       {Layer::kSeccomp, Layer::kView, Layer::kNamespace, Layer::kLandlock, Layer::kSupervisor}) {
    const bool refused =
        std::any_of(answer.controls.begin(), answer.controls.end(),
                    [&](const ControlVerdict& v) { return v.layer == layer && !v.allows; });
    if (!refused) continue;
    if (layer == Layer::kSeccomp && profile.notifies) answer.recorder = Recorder::kNotification;
    if (layer == Layer::kLandlock && profile.landlock.log) {
      answer.recorder = Recorder::kLandlockRecord;
    }
    if (layer == Layer::kSupervisor) answer.recorder = Recorder::kTripwire;
    return;
  }
}

Answer WhyFile(const ProfileData& profile, const FileAction& action,
               const std::vector<std::string>& object) {
  if (object.size() != 1 || !IsNormalPath(object[0])) {
    return tl::make_unexpected(fmt::format("`{}` takes one absolute path", action.name));
  }
  const std::string& path = object[0];
  WhyAnswer answer;
  answer.controls.push_back(ViewVerdict(profile, path, action, answer));
  if (profile.landlock.handled_files != 0) {
    answer.controls.push_back(LandlockVerdict(profile, path, action.access));
  }
  const ViewEntry* entry = EntryFor(profile, path);
  if (entry != nullptr && entry->kind == ViewKind::kTripwire && !profile.landlock.log) {
    answer.controls.push_back({Layer::kSupervisor, false, "every opening is refused and recorded"});
  }
  answer.note =
      "existence, ownership and modes on the disk are not decided here, and links are not followed";
  if (action.name == "execute") {
    const bool launch = path == profile.argv[0];
    const bool native = ActionOf(profile, "execve") == kRetAllow;
    answer.controls.push_back(
        {Layer::kSeccomp, native || launch,
         native ? "execve is allowed"
                : (launch ? "the launch's own exec passes once"
                          : "execve is refused: " +
                                std::string(profile.notifies ? "EPERM" : "ENOSYS"))});
  }
  Conclude(profile, answer);
  return answer;
}

// --- system calls ---

std::optional<uint64_t> ParseValue(Arch arch, const std::string& text) {
  if (const auto constant = ConstantValue(arch, text)) return constant;
  uint64_t value = 0;
  const bool hex = text.starts_with("0x");
  const char* begin = text.data() + (hex ? 2 : 0);
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(begin, end, value, hex ? 16 : 10);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

// Walks every way that a program can take for a call of which some arguments are known. Two tests
// of one unknown word are taken as independent, so it can see ways that no call takes, and misses
// none.
class PossibleActions {
 public:
  PossibleActions(const Filter& filter, const SeccompData& data, const std::set<size_t>& given)
      : filter_(filter), data_(data), given_(given) {}

  std::set<uint32_t> Find() {
    ways_.insert({0, std::nullopt});
    // Jumps go forward only, so the set's order is an order of execution.
    while (!ways_.empty()) Step(ways_.extract(ways_.begin()).value());
    return std::move(actions_);
  }

 private:
  using Word = std::optional<uint32_t>;  // nullopt: anything
  using Way = std::pair<size_t, Word>;   // the next instruction, the accumulator

  Word Load(uint32_t offset) const {
    if (offset == kOffsetNr) return data_.nr;
    if (offset == kOffsetArch) return data_.arch;
    if (offset < OffsetArgLow(0)) return std::nullopt;
    const uint32_t arg = (offset - OffsetArgLow(0)) / 8;
    if (!given_.contains(arg)) return std::nullopt;
    return static_cast<uint32_t>(data_.args[arg] >> (offset % 8 * 8));
  }

  static bool Holds(uint16_t code, uint32_t word, uint32_t k) {
    switch (code) {
      case kJumpEqual:
        return word == k;
      case kJumpGreater:
        return word > k;
      case kJumpGreaterEqual:
        return word >= k;
      default:
        return (word & k) != 0;
    }
  }

  void Step(const Way& way) {
    const auto& [pc, word] = way;
    const Instruction& ins = filter_[pc];
    switch (ins.code) {
      case kReturn:
        actions_.insert(ins.k);
        return;
      case kLoad:
        ways_.insert({pc + 1, Load(ins.k)});
        return;
      case kAndConst:
        ways_.insert({pc + 1, word ? Word(*word & ins.k) : std::nullopt});
        return;
      case kJumpAlways:
        ways_.insert({pc + 1 + ins.k, word});
        return;
      default:
        if (!word || Holds(ins.code, *word, ins.k)) ways_.insert({pc + 1 + ins.jt, word});
        if (!word || !Holds(ins.code, *word, ins.k)) ways_.insert({pc + 1 + ins.jf, word});
    }
  }

  const Filter& filter_;
  const SeccompData& data_;
  const std::set<size_t>& given_;
  std::set<Way> ways_;
  std::set<uint32_t> actions_;
};

std::string VerdictText(const ProfileData& profile, uint32_t nr, uint32_t action) {
  if (action == kRetAllow) return "allowed by the filter";
  if (action == kRetKillProcess) return "kills the process";
  if (action == kRetTrace) return "refused: ENOSYS; the launch's own passes once";
  if (action == kRetErrno) return "answered 0 by the filter without being made";
  const bool absent = std::binary_search(profile.absent.begin(), profile.absent.end(), nr);
  if (!absent) return "refused: EPERM";
  return profile.notifies ? "refused: ENOSYS, counted apart" : "refused: ENOSYS";
}

// What the filter says of the call, where it is asked.
ControlVerdict FilterVerdict(const ProfileData& profile, const SeccompData& data) {
  const uint32_t action = Evaluate(profile.filter, data).action;
  return {Layer::kSeccomp, action == kRetAllow, VerdictText(profile, data.nr, action)};
}

Answer WhySyscall(const Target& target, const ProfileData& profile,
                  const std::vector<std::string>& object) {
  if (object.empty()) return tl::make_unexpected("`syscall` takes a name and arguments");
  const std::string& name = object[0];
  const auto nr = SyscallNumber(profile.arch, name);
  if (!nr) {
    return tl::make_unexpected(
        fmt::format("`{}` is no system call of {}", name, ArchName(profile.arch)));
  }
  SeccompData data{*nr, AuditArch(profile.arch), 0, {}};
  std::set<size_t> given;
  const auto infos = SyscallArgs(profile.arch, name);
  for (size_t i = 1; i < object.size(); ++i) {
    const size_t equals = object[i].find('=');
    const std::string key = object[i].substr(0, equals);
    size_t index = 0;
    while (index < infos.size() && infos[index].name != key) ++index;
    const auto value = equals == std::string::npos
                           ? std::nullopt
                           : ParseValue(profile.arch, object[i].substr(equals + 1));
    if (index == infos.size() || !value) {
      return tl::make_unexpected(fmt::format("`{}` is not ARGUMENT=VALUE of {}", object[i], name));
    }
    data.args[index] = *value;
    given.insert(index);
  }
  WhyAnswer answer;
  answer.rule = "components." + profile.name + ".syscalls";
  const bool unasked = PassesByFilters(profile.arch, *nr, target.kernel_major, target.kernel_minor);
  answer.controls.push_back(unasked ? ControlVerdict{Layer::kSeccomp, true, "no filter is asked"}
                                    : FilterVerdict(profile, data));
  if (unasked) {
    answer.note =
        "the kernel runs it only in trampolines that it maps itself where root has set a probe";
  } else if (PossibleActions(profile.filter, data, given).Find().size() > 1) {
    answer.decidable = false;
    answer.note =
        "the answer hangs on arguments: give them as NAME=VALUE; those not given were "
        "taken as 0";
  }
  Conclude(profile, answer);
  return answer;
}

// --- network ---

bool SocketAllowed(const ProfileData& profile, uint64_t domain, uint64_t type) {
  return ActionOf(profile, "socket", {domain, type, 0, 0, 0, 0}) == kRetAllow;
}

ControlVerdict SocketVerdict(const ProfileData& profile, uint64_t domain, uint64_t type,
                             std::string_view family) {
  const bool ok = SocketAllowed(profile, domain, type);
  return {Layer::kSeccomp, ok,
          fmt::format("{} sockets are {}", family, ok ? "allowed" : "refused: EPERM")};
}

ControlVerdict CallVerdict(const ProfileData& profile, std::string_view call) {
  const bool ok = ActionOf(profile, call) == kRetAllow;
  return {Layer::kSeccomp, ok, fmt::format("{} is {}", call, ok ? "allowed" : "refused: EPERM")};
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || rest != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

void TcpVerdicts(const ProfileData& profile, bool listen, uint16_t port, WhyAnswer& answer) {
  const uint64_t access = listen ? landlock::kBindTcp : landlock::kConnectTcp;
  for (const Listener& listener : profile.listeners) {
    if (!listen || listener.kind != ListenerKind::kTcp || listener.port != port) continue;
    answer.rule = listener.rule;
    answer.controls.push_back(
        {Layer::kDescriptor, true, "opened by the supervisor as `" + listener.name + "`"});
    return;
  }
  answer.controls.push_back(SocketVerdict(profile, 2, 1, "TCP"));
  answer.controls.push_back(CallVerdict(profile, listen ? "bind" : "connect"));
  answer.controls.push_back({Layer::kNamespace, profile.network == Network::kShared,
                             profile.network == Network::kShared ? "in the enclave's network"
                                                                 : "an empty network namespace"});
  if ((profile.landlock.handled_net & access) == 0) return;
  const auto rule = std::find_if(
      profile.landlock.ports.begin(), profile.landlock.ports.end(),
      [&](const LandlockPort& item) { return item.port == port && (item.access & access) != 0; });
  const bool ok = rule != profile.landlock.ports.end();
  if (ok) answer.rule = rule->rule;
  answer.controls.push_back(
      {Layer::kLandlock, ok,
       ok ? "the port is granted, for any address" : "no rule for this port"});
}

void UnixVerdicts(const ProfileData& profile, bool listen, const std::string& path,
                  WhyAnswer& answer) {
  for (const Listener& listener : profile.listeners) {
    if (!listen || listener.path != path) continue;
    answer.rule = listener.rule;
    answer.controls.push_back(
        {Layer::kDescriptor, true, "opened by the supervisor as `" + listener.name + "`"});
    return;
  }
  const std::string directory = path.substr(0, path.rfind('/'));
  const auto edge = std::find_if(profile.edges.begin(), profile.edges.end(),
                                 [&](const EdgeDirectory& item) { return item.path == directory; });
  const bool known = edge != profile.edges.end() && (!listen || edge->server);
  if (edge != profile.edges.end()) answer.rule = edge->rule;
  answer.controls.push_back(
      {Layer::kView, known, known ? "the edge's directory is in the view" : "no edge there"});
  answer.controls.push_back(SocketVerdict(profile, 1, 1, "unix stream"));
  answer.controls.push_back(CallVerdict(profile, listen ? "bind" : "connect"));
}

Answer WhyNetwork(const ProfileData& profile, bool listen, const std::vector<std::string>& object) {
  const std::string_view text = object.size() == 1 ? std::string_view(object[0]) : "";
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string rest(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  WhyAnswer answer;
  answer.rule = "components." + profile.name + ".network";
  const auto port = ParsePort(rest);
  if (kind == "tcp" && port) {
    TcpVerdicts(profile, listen, *port, answer);
  } else if (kind == "unix" && IsNormalPath(rest)) {
    UnixVerdicts(profile, listen, rest, answer);
  } else if (kind == "udp" && port) {
    answer.controls.push_back(SocketVerdict(profile, 2, 2, "UDP"));
  } else if (kind == "vsock" && !rest.empty()) {
    answer.controls.push_back(SocketVerdict(profile, 40, 1, "vsock"));
  } else {
    return tl::make_unexpected(
        "expected tcp:PORT, udp:PORT, unix:/PATH or vsock:ADDRESS; an address behind a name or a "
        "host can't be decided");
  }
  Conclude(profile, answer);
  return answer;
}

}  // namespace

Answer Why(const Bundle& bundle, std::string_view component, std::string_view action,
           const std::vector<std::string>& object) {
  const Profile* profile = bundle.Find(component);
  if (profile == nullptr) {
    return tl::make_unexpected(fmt::format("the bundle has no component `{}`", component));
  }
  for (const FileAction& file : kFileActions) {
    if (file.name == action) return WhyFile(**profile, file, object);
  }
  if (action == "syscall") return WhySyscall(bundle->target, **profile, object);
  if (action == "connect" || action == "listen") {
    return WhyNetwork(**profile, action == "listen", object);
  }
  return tl::make_unexpected(fmt::format(
      "`{}` is no action: read, write, create, execute, syscall, connect, listen", action));
}

}  // namespace bulkhead
