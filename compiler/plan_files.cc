// SPDX-License-Identifier: Apache-2.0
// Files and devices: the mount view first, Landlock second, both from the same rules.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/planner.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

constexpr uint64_t kDefaultTmpfs = 64U << 20;  // bytes

struct VerbInfo {
  Verb verb;
  std::string_view key;
  ViewKind kind;
  bool writable;
  int strength;  // of two rules for one path the stronger stays; 0: joins with no other
  uint64_t access;
  std::string_view control;
};

constexpr uint64_t kRead = landlock::kReadFile | landlock::kReadDir;
constexpr uint64_t kWrite = kRead | landlock::kWriteFile | landlock::kTruncate;
// Links, fifos, sockets and nodes are never made.
constexpr uint64_t kCreate = kWrite | landlock::kMakeReg | landlock::kMakeDir |
                             landlock::kRemoveFile | landlock::kRemoveDir | landlock::kRefer;

constexpr VerbInfo kVerbs[] = {
    {Verb::kExecute, "execute", ViewKind::kReadOnly, false, 2, kRead | landlock::kExecute,
     "read-only bind, no setuid, no devices"},
    {Verb::kRead, "read", ViewKind::kReadOnly, false, 1, kRead,
     "read-only bind, no setuid, no devices"},
    {Verb::kWrite, "write", ViewKind::kWritable, true, 3, kWrite,
     "bind without execution, setuid, devices"},
    {Verb::kCreate, "create", ViewKind::kWritable, true, 4, kCreate,
     "bind without execution, setuid, devices"},
    {Verb::kState, "state", ViewKind::kState, true, 0, kCreate,
     "bind of a directory it owns, without execution, setuid, devices"},
    {Verb::kRuntime, "runtime", ViewKind::kRuntime, true, 0,
     kCreate | landlock::kMakeSock | landlock::kMakeFifo,
     "tmpfs of its own, empty at every start, without execution"},
    {Verb::kPrivate, "private", ViewKind::kPrivate, true, 0,
     kCreate | landlock::kMakeSock | landlock::kMakeFifo | landlock::kMakeSym,
     "tmpfs of its own, without execution"},
};

const VerbInfo& InfoOf(Verb verb) { return kVerbs[static_cast<size_t>(verb)]; }

void CheckReserved(const ComponentPlan& plan, const FileRule& rule) {
  for (const std::string_view closed : {"/proc", "/sys", "/dev", "/etc/passwd", "/etc/group"}) {
    if (!Covers(closed, rule.path) && rule.path != "/") continue;
    plan.Error(rule.at.place, "E0523", fmt::format("`{}` can't be named here", rule.path),
               "/proc, /dev, /etc/passwd and /etc/group are made by the runtime, /sys is in no "
               "view; device nodes are named under `devices`");
    return;
  }
  std::string own = ReservedPath(plan.enclave, rule.path);
  // Where bundles, their signatures and the key of the image are: what is above it may be read.
  constexpr std::string_view kImage = "/etc/bulkhead";
  if (Covers(kImage, rule.path) || (WritesFiles(rule.verb) && Covers(rule.path, kImage)))
    own = kImage;
  if (own.empty()) return;
  // Its own tmpfs hides what the enclave has there.
  const Policy& policy = plan.enclave.policy;
  const auto sinks = SinkPaths(policy.sinks, policy.output);
  const bool sink = std::ranges::find(sinks, own) != sinks.end();
  if (sink && !IsPersistent(rule.verb) && own != rule.path) return;
  plan.Error(rule.at.place, "E0524",
             fmt::format("`{}` reaches the supervisor's `{}`", rule.path, own),
             "name the paths that the component needs, one by one; no component may see the audit "
             "log or the supervisor's directories");
}

// Two statements that say the same of one path: the same one stays whatever their order.
void Join(FileRule& kept, const FileRule& rule) {
  kept.optional = kept.optional && rule.optional;
  if (kept.size == 0 || (rule.size != 0 && rule.size < kept.size)) kept.size = rule.size;
  if (rule.at.id < kept.at.id) kept.at = rule.at;
}

void Keep(ComponentPlan& plan, FileRule rule) {
  CheckReserved(plan, rule);
  const auto [it, fresh] = plan.files.try_emplace(rule.path, rule);
  if (fresh) return;
  const int have = InfoOf(it->second.verb).strength;
  const int want = InfoOf(rule.verb).strength;
  if (have == 0 || want == 0) {
    if (it->second.verb == rule.verb) return Join(it->second, rule);
    plan.Error(rule.at.place, "E0525",
               fmt::format("`{}` is named under both `{}` and `{}`", rule.path,
                           InfoOf(it->second.verb).key, InfoOf(rule.verb).key),
               "a path has one verb; state, runtime and private join with no other");
    return;
  }
  // Execution and writing never meet on one path, by whatever name it was given.
  if ((have == 2 && want > 2) || (want == 2 && have > 2)) {
    plan.Error(rule.at.place, "E0526",
               fmt::format("`{}` would be both writable and executable", rule.path),
               "nothing writable is executable: split the path");
    return;
  }
  if (want == have) return Join(it->second, rule);
  if (want < have) return;
  rule.optional = rule.optional && it->second.optional;
  it->second = std::move(rule);
}

void Expand(ComponentPlan& plan) {
  const auto& sets = plan.enclave.loaded.target.path_sets;
  for (const FileRule& rule : plan.policy.files) {
    if (!rule.path.starts_with("@")) {
      Keep(plan, rule);
      continue;
    }
    const auto set = sets.find(rule.path.substr(1));
    if (set == sets.end()) {
      plan.Error(
          rule.at.place, "E0527",
          fmt::format("the target `{}` has no path set `{}`", plan.enclave.target.name, rule.path),
          "path sets are the `paths` of the target's file");
      continue;
    }
    for (const std::string& path : set->second) {
      FileRule one = rule;
      one.path = path;
      Keep(plan, std::move(one));
    }
  }
}

// Landlock's rights reach downwards: what is to be read alone, beneath what may be executed, is
// kept from that by its mount.
bool IsBeneathCode(const ComponentPlan& plan, const std::string& path) {
  return std::ranges::any_of(plan.files, [&](const auto& item) {
    return item.second.verb == Verb::kExecute && item.first != path && Covers(item.first, path);
  });
}

void AddRules(ComponentPlan& plan) {
  for (const auto& [path, rule] : plan.files) {
    const VerbInfo& info = InfoOf(rule.verb);
    ViewEntry entry;
    entry.path = path;
    entry.kind = info.kind;
    if (rule.verb == Verb::kRead && IsBeneathCode(plan, path)) entry.kind = ViewKind::kData;
    entry.optional = rule.optional;
    entry.rule = rule.at.id;
    if (info.kind == ViewKind::kPrivate || info.kind == ViewKind::kRuntime) {
      entry.size = rule.size == 0 ? kDefaultTmpfs : rule.size;
    }
    plan.profile.view.push_back(entry);
    AddLandlockRule(plan, path, info.access, rule.optional, rule.at.id);
  }
}

// What is mounted for code must not be what the component made there before its last restart: a
// directory that it can write may be renamed and made anew beneath its own feet.
void CheckOwnCode(const ComponentPlan& plan) {
  for (const auto& [path, rule] : plan.files) {
    if (rule.verb != Verb::kExecute && rule.verb != Verb::kRead) continue;
    for (const auto& [above, writable] : plan.files) {
      if (!WritesFiles(writable.verb) || !Covers(above, path)) continue;
      plan.Error(rule.at.place, "E0558",
                 fmt::format("`{}` lies beneath `{}`, which the component can write", path, above),
                 "code is mapped from what is named under `execute` and `read`, and nothing "
                 "writable may be code: keep them apart");
    }
  }
}

// What the runtime itself puts into every view.
void AddRuntimeRules(ComponentPlan& plan) {
  const std::string own = plan.Id("files");
  for (const char* device :
       {"/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"}) {
    AddLandlockRule(plan, device, landlock::kReadFile | landlock::kWriteFile, false, own);
  }
  AddLandlockRule(plan, "/dev/shm", kCreate, false, own);
  AddLandlockRule(plan, "/etc/group", landlock::kReadFile, false, own);
  AddLandlockRule(plan, "/etc/passwd", landlock::kReadFile, false, own);
  AddLandlockRule(plan, "/proc", kRead, false, own);
}

// Without Landlock a writable mount gives what `create` gives, and `write` says less.
bool MayOnlyWrite(ComponentPlan& plan) {
  if (plan.LandlockAbi() > 0) return true;
  const auto found = std::find_if(plan.files.begin(), plan.files.end(), [](const auto& item) {
    return item.second.verb == Verb::kWrite;
  });
  if (found == plan.files.end()) return true;
  if (plan.enclave.waivers.Use(plan.policy.name, "files.write") != nullptr) return false;
  plan.Refuse(
      found->second.at.place, "files.write", "E0536",
      fmt::format("`{}` can't tell `write` from `create`: it has no Landlock",
                  plan.enclave.target.name),
      "choices: `create`, a target with Landlock (Linux 5.13), or a waiver of `files.write`");
  return true;
}

void RootRow(ComponentPlan& plan) {
  std::vector<Control> controls{
      {Layer::kView, "the root is an empty read-only tmpfs: what is not named is not there"}};
  std::string note =
      "a path that is not in the view answers ENOENT and is not recorded; assets hold tripwires";
  const bool subset = plan.features.Has(Feature::kProcSubsetPid);
  if (subset) {
    plan.Need(Feature::kProcSubsetPid, 1, "files");
  } else {
    controls.push_back({Layer::kView, "all in /proc but processes is covered, entry by entry"});
    note +=
        "; /proc has no subset=pid in this kernel: what the kernel adds to it after the start, as "
        "a "
        "module does, is readable as far as its mode says";
  }
  plan.Row("files", std::move(controls), subset ? Status::kEnforced : Status::kSubstituted,
           Recorder::kNone, std::move(note));
}

void WriteRows(ComponentPlan& plan) {
  const bool landlocked = plan.LandlockAbi() > 0;
  const bool only_write = MayOnlyWrite(plan);
  const bool whole = plan.LandlockAbi() >= 3;
  const Recorder recorder = plan.HasRecords() ? Recorder::kLandlockRecord : Recorder::kNone;
  const std::string silent =
      plan.HasRecords() ? ""
                        : "this kernel has no Landlock records, so a refusal is not recorded; ";
  for (const VerbInfo& info : kVerbs) {
    const bool used = std::any_of(plan.files.begin(), plan.files.end(),
                                  [&](const auto& item) { return item.second.verb == info.verb; });
    if (!used) continue;
    std::vector<Control> controls{{Layer::kView, std::string(info.control)}};
    if (landlocked) {
      controls.push_back({Layer::kLandlock, "rights beneath the named paths only"});
    }
    const std::string statement = "files." + std::string(info.key);
    const bool needs_landlock = info.verb == Verb::kExecute;
    std::string note = silent;
    if (!landlocked) note += "no Landlock in this kernel: the view alone decides; ";
    if (landlocked && !whole) note += "truncation is decided by the mount; ";
    if (needs_landlock) {
      note +=
          "with the loader granted, every readable file on an executable mount counts as "
          "executable; ";
    }
    note +=
        "metadata calls are decided by the view and ownership; their refusals and those of a mount "
        "(EROFS, noexec) are not recorded";
    const bool waived = info.verb == Verb::kWrite && !only_write;
    if (waived) note += "; by waiver also files and directories can be made and removed";
    plan.Row(statement, std::move(controls),
             waived  ? Status::kWaived
             : whole ? Status::kEnforced
                     : Status::kSubstituted,
             recorder, note);
    if (landlocked) plan.Need(Feature::kLandlock, plan.LandlockAbi(), statement);
  }
  RootRow(plan);
  if (plan.HasRecords()) plan.Need(Feature::kLandlockAudit, 1, "files");
}

}  // namespace

bool IsPersistent(Verb verb) { return verb != Verb::kRuntime && verb != Verb::kPrivate; }

bool WritesFiles(Verb verb) { return InfoOf(verb).writable && IsPersistent(verb); }

void AddLandlockRule(ComponentPlan& plan, const std::string& path, uint64_t access, bool optional,
                     const std::string& rule) {
  const uint64_t fitting = access & plan.profile.landlock.handled_files;
  if (fitting != 0) plan.profile.landlock.rules.push_back({path, fitting, optional, rule});
}

void PlanSecrets(ComponentPlan& plan) {
  for (const SecretPolicy& secret : plan.policy.secrets) {
    if (const auto own = ReservedPath(plan.enclave, secret.path); !own.empty()) {
      plan.Error(secret.at.place, "E0524",
                 fmt::format("`{}` reaches the supervisor's `{}`", secret.path, own),
                 "name a file that is kept for this secret");
    }
    plan.profile.secrets.push_back({secret.name, secret.path, secret.at.id});
    plan.Row(
        "secrets:" + secret.name,
        {{Layer::kDescriptor,
          fmt::format("`{}`, read before any component runs; each run has a sealed copy of its "
                      "own, which it can't write",
                      secret.path)}},
        Status::kEnforced, Recorder::kNone, "a descriptor can't be refused once it is handed over");
  }
  std::ranges::sort(plan.profile.secrets, {}, &Secret::name);
}

std::string ReservedPath(const EnclavePlan& enclave, std::string_view path) {
  for (const std::string_view own : {"/run/bulkhead", "/run/notify", "/var/log/bulkhead"}) {
    if (Covers(path, own) || Covers(own, path)) return std::string(own);
  }
  for (const std::string& sink : SinkPaths(enclave.policy.sinks, enclave.policy.output)) {
    if (Covers(path, sink)) return sink;
  }
  for (const auto& [name, device] : enclave.loaded.target.devices) {
    if (Covers(path, device) || Covers(device, path)) return device;
  }
  return {};
}

void PlanFiles(ComponentPlan& plan) {
  LandlockPlan& landlock = plan.profile.landlock;
  const auto abi = static_cast<int>(plan.LandlockAbi());
  if (abi > 0) landlock.handled_files = landlock::FileRights(abi);
  if (abi >= landlock::kNetAbi) {
    landlock.handled_net = landlock::kBindTcp | landlock::kConnectTcp;
  }
  if (abi >= landlock::kScopeAbi) {
    landlock.scoped = landlock::kScopeAbstractUnix | landlock::kScopeSignal;
  }
  landlock.log = abi >= landlock::kLogAbi && plan.HasRecords();
  Expand(plan);
  CheckOwnCode(plan);
  AddRules(plan);
  AddRuntimeRules(plan);
  WriteRows(plan);

  const std::string& program = plan.profile.argv[0];
  const bool granted = std::any_of(plan.files.begin(), plan.files.end(), [&](const auto& item) {
    return item.second.verb == Verb::kExecute && Covers(item.first, program);
  });
  if (!granted && !program.empty()) {
    plan.Error(plan.policy.exec.front().at.place, "E0528",
               fmt::format("`{}` is not under `files.execute`", program),
               fmt::format("add it: `files: {{execute: [{}, \"@loader\"]}}`", program));
  }
}

}  // namespace bulkhead
