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
  for (const std::string_view closed : {"/proc", "/sys", "/dev"}) {
    if (!Covers(closed, rule.path) && rule.path != "/") continue;
    plan.Error(rule.at.place, "E0523", fmt::format("`{}` can't be named here", rule.path),
               "/proc and /dev are made by the runtime, /sys is in no view; device nodes are named "
               "under `devices`");
    return;
  }
  for (const std::string_view own : {"/run/bulkhead", "/run/notify", "/var/log/bulkhead"}) {
    if (!Covers(rule.path, own) && !Covers(own, rule.path)) continue;
    plan.Error(rule.at.place, "E0524",
               fmt::format("`{}` reaches the supervisor's `{}`", rule.path, own),
               "name the paths that the component needs, one by one");
    return;
  }
  for (const Sink& sink : plan.enclave.policy.sinks) {
    if (sink.kind != SinkKind::kFile || !Covers(rule.path, sink.path)) continue;
    plan.Error(rule.at.place, "E0524",
               fmt::format("`{}` reaches the audit file `{}`", rule.path, sink.path),
               "no component may see the audit log: move the sink or name a narrower path");
  }
}

void Keep(ComponentPlan& plan, FileRule rule) {
  CheckReserved(plan, rule);
  const auto [it, fresh] = plan.files.try_emplace(rule.path, rule);
  if (fresh) return;
  const int have = InfoOf(it->second.verb).strength;
  const int want = InfoOf(rule.verb).strength;
  if (have == 0 || want == 0) {
    if (it->second.verb == rule.verb) return;
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
  if (want > have) it->second = std::move(rule);
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
      plan.Error(rule.at.place, "E0527",
                 fmt::format("the target `{}` has no path set `{}`", plan.enclave.target.name,
                             rule.path),
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

void AddRule(ComponentPlan& plan, const std::string& path, uint64_t access, bool optional,
             const std::string& rule) {
  const uint64_t fitting = access & plan.profile.landlock.handled_files;
  if (fitting != 0) plan.profile.landlock.rules.push_back({path, fitting, optional, rule});
}

void AddRules(ComponentPlan& plan) {
  for (const auto& [path, rule] : plan.files) {
    const VerbInfo& info = InfoOf(rule.verb);
    ViewEntry entry;
    entry.path = path;
    entry.kind = info.kind;
    entry.optional = rule.optional;
    entry.rule = rule.at.id;
    if (info.kind == ViewKind::kPrivate || info.kind == ViewKind::kRuntime) {
      entry.size = rule.size == 0 ? kDefaultTmpfs : rule.size;
    }
    plan.profile.view.push_back(entry);
    AddRule(plan, path, info.access, rule.optional, rule.at.id);
  }
  for (const Text& device : plan.policy.devices) {
    plan.profile.view.push_back(
        {.path = device.value, .kind = ViewKind::kDevice, .rule = device.at.id});
    AddRule(plan, device.value,
            landlock::kReadFile | landlock::kWriteFile | landlock::kIoctlDev, false, device.at.id);
  }
}

// What the runtime itself puts into every view.
void AddRuntimeRules(ComponentPlan& plan) {
  const std::string own = plan.Id("files");
  for (const char* device : {"/dev/full", "/dev/null", "/dev/random", "/dev/urandom",
                             "/dev/zero"}) {
    AddRule(plan, device, landlock::kReadFile | landlock::kWriteFile, false, own);
  }
  AddRule(plan, "/dev/shm", kCreate, false, own);
  AddRule(plan, "/etc/group", landlock::kReadFile, false, own);
  AddRule(plan, "/etc/passwd", landlock::kReadFile, false, own);
  AddRule(plan, "/proc", kRead, false, own);
}

void WriteRows(ComponentPlan& plan) {
  const bool landlocked = plan.LandlockAbi() > 0;
  const bool whole = plan.LandlockAbi() >= 3;
  const Recorder recorder = plan.HasRecords() ? Recorder::kLandlockRecord : Recorder::kNone;
  const std::string silent =
      plan.HasRecords() ? "" : "this kernel has no Landlock records, so a refusal is not recorded; ";
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
      note += "with the loader granted, every readable file on an executable mount counts as "
              "executable; ";
    }
    note += "metadata calls are decided by the view and ownership";
    plan.Row(statement, std::move(controls), whole ? Status::kEnforced : Status::kSubstituted,
             recorder, note);
    if (landlocked) plan.Need(Feature::kLandlock, plan.LandlockAbi(), statement);
  }
  plan.Row("files", {{Layer::kView, "the root is an empty read-only tmpfs: what is not named is "
                                    "not there"}},
           Status::kEnforced, Recorder::kNone,
           "a path that is not in the view answers ENOENT and is not recorded; assets hold "
           "tripwires");
  plan.Need(Feature::kProcSubsetPid, 1, "files");
  if (plan.HasRecords()) plan.Need(Feature::kLandlockAudit, 1, "files");
}

}  // namespace

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

void PlanAssets(ComponentPlan& plan) {
  for (const AssetPolicy& asset : plan.enclave.policy.assets) {
    bool reaches = false;
    std::vector<Control> controls;
    for (const Text& file : asset.files) {
      const bool granted = std::any_of(plan.files.begin(), plan.files.end(), [&](const auto& item) {
        return Covers(item.first, file.value);
      });
      if (granted) {
        reaches = true;
        continue;
      }
      // A path with another listed path beneath it is a directory, and so is what a component keeps
      // as state; anything else is a file.
      const auto is_parent = [&](const std::string& other) {
        return other != file.value && Covers(file.value, other);
      };
      bool directory = std::any_of(asset.files.begin(), asset.files.end(),
                                   [&](const Text& other) { return is_parent(other.value); });
      for (const ComponentPolicy& other : plan.enclave.policy.components) {
        directory |= std::any_of(other.files.begin(), other.files.end(), [&](const FileRule& rule) {
          return (rule.verb == Verb::kState && rule.path == file.value) || is_parent(rule.path);
        });
      }
      plan.profile.view.push_back({.path = file.value,
                                   .kind = ViewKind::kTripwire,
                                   .directory = directory,
                                   .rule = "assets." + asset.name});
      controls.push_back({Layer::kView, fmt::format("an empty {} stands at {}",
                                                    directory ? "directory" : "file", file.value)});
    }
    if (reaches || controls.empty()) continue;
    if (!plan.HasRecords()) {
      plan.Error(asset.at.place, "E0529",
                 fmt::format("attempts of `{}` on the asset `{}` can't be recorded on `{}`",
                             plan.policy.name, asset.name, plan.enclave.target.name),
                 "refusals of files are recorded by Landlock's audit records (Linux 6.15, the "
                 "initial PID and network namespaces); choose such a target or take the asset out");
      continue;
    }
    controls.push_back({Layer::kLandlock, "no right on what stands there"});
    plan.enclave.ledger.push_back(
        {plan.policy.name, "assets." + asset.name, std::move(controls), Status::kEnforced,
         Recorder::kLandlockRecord,
         "opening and listing are recorded; names that the asset does not list answer ENOENT"});
  }
}

}  // namespace bulkhead
