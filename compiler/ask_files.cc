// SPDX-License-Identifier: Apache-2.0
// Files: the calls of an action, then what the path is in the component's view (sandbox/view.h
// makes it of the same entries), who owns it there, and what Landlock grants on it.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/ask_file_ways.h"
#include "compiler/asked.h"
#include "compiler/planner.h"
#include "compiler/resolve_calls.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

// What stands at a path in the view.
enum class Where : uint8_t {
  kNothing,   // not in the view
  kRoot,      // a directory of the root tmpfs, on the way to what is named
  kIdentity,  // /etc/passwd, /etc/group
  kStandard,  // /dev/null and its like
  kShared,    // /dev/shm
  kProc,
  kNotify,  // the readiness socket's directory
  kEntry,   // of the profile's view
};

struct Location {
  Where place = Where::kNothing;
  const ViewEntry* entry = nullptr;  // kEntry
  std::string mount;                 // the path of the mount that it is on; empty: the root tmpfs
  bool is_mount = false;             // it is the mount's own root
  bool is_child = false;             // right beneath it
  bool writable = false;             // the mount
  bool executable = false;           // the mount
};

bool IsTmpfs(const Location& at) {
  return at.place == Where::kShared ||
         (at.place == Where::kEntry &&
          (at.entry->kind == ViewKind::kPrivate || at.entry->kind == ViewKind::kRuntime));
}

bool IsWritable(ViewKind kind) { return !IsReadOnlyBind(kind); }

constexpr std::string_view kNotifyDirectory = "/run/notify";  // sandbox/view.h

Location Found(Where place, std::string_view mount, std::string_view path, bool writable) {
  Location at;
  at.place = place;
  at.mount = mount;
  at.is_mount = mount == path;
  at.is_child = mount == path.substr(0, path.rfind('/'));
  at.writable = writable;
  return at;
}

// What the runtime puts into every view, where no entry is nearer.
Location RuntimeLocation(const ProfileData& profile, std::string_view path) {
  for (const std::string_view device :
       {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) {
    if (path == device) return Found(Where::kStandard, device, path, true);
  }
  if (Covers("/dev/shm", path)) return Found(Where::kShared, "/dev/shm", path, true);
  if (Covers("/proc", path)) {
    return Found(Where::kProc, "/proc", path, profile.landlock.handled_files != 0);
  }
  if (path == "/etc/passwd" || path == "/etc/group") {
    return Found(Where::kIdentity, "", path, false);
  }
  if (profile.lifecycle.ready.kind == ReadyKind::kNotify && Covers(kNotifyDirectory, path)) {
    return Found(Where::kNotify, kNotifyDirectory, path, false);
  }
  for (const std::string_view own : {"/", "/dev", "/etc", "/proc"}) {
    if (path == own) return Found(Where::kRoot, "", path, false);
  }
  const bool above = std::ranges::any_of(profile.view, [&](const ViewEntry& entry) {
    return path != entry.path && Covers(path, entry.path);
  });
  return Found(above ? Where::kRoot : Where::kNothing, "", path, false);
}

const ViewEntry* NearestEntry(const ProfileData& profile, std::string_view path) {
  const ViewEntry* best = nullptr;
  for (const ViewEntry& entry : profile.view) {
    if (!Covers(entry.path, path)) continue;
    if (best == nullptr || entry.path.size() > best->path.size()) best = &entry;
  }
  return best;
}

Location Locate(const ProfileData& profile, std::string_view path) {
  Location runtime = RuntimeLocation(profile, path);
  const ViewEntry* entry = NearestEntry(profile, path);
  if (entry == nullptr || entry->path.size() < runtime.mount.size()) return runtime;
  Location at = Found(Where::kEntry, entry->path, path, IsWritable(entry->kind));
  at.entry = entry;
  at.executable = entry->kind == ViewKind::kReadOnly;
  return at;
}

bool Changes(Action action) {
  return action != Action::kRead && action != Action::kList && action != Action::kExecute;
}

// --- what the controls say ---

std::string KindText(ViewKind kind) {
  switch (kind) {
    case ViewKind::kReadOnly:
      return "on a read-only mount";
    case ViewKind::kData:
      return "on a read-only mount without execution";
    case ViewKind::kPrivate:
    case ViewKind::kRuntime:
      return "on a tmpfs of its own";
    case ViewKind::kEdge:
      return "in an edge's directory";
    case ViewKind::kTripwire:
      return "an empty tripwire";
    case ViewKind::kDevice:
      return "a device of the view";
    default:
      return "on a writable mount";
  }
}

std::string PlaceText(const Location& at) {
  switch (at.place) {
    case Where::kNothing:
      return "not in the view: ENOENT";
    case Where::kRoot:
      return "a directory on the read-only root";
    case Where::kIdentity:
      return "made by the runtime, on the read-only root";
    case Where::kStandard:
      return "a device that every view has";
    case Where::kShared:
      return "on the /dev/shm of its own";
    case Where::kProc:
      return at.writable ? "in /proc" : "in /proc, mounted read-only";
    case Where::kNotify:
      return "in the readiness socket's directory, mounted read-only";
    case Where::kEntry:
      break;
  }
  return fmt::format("{} by {}", KindText(at.entry->kind), at.entry->path);
}

// Directories that are known to be, whatever the disk has.
bool IsDirectory(const Location& at) {
  if (at.place == Where::kRoot) return true;
  if (!at.is_mount) return false;
  if (at.place != Where::kEntry) return at.place != Where::kStandard;
  switch (at.entry->kind) {
    case ViewKind::kPrivate:
    case ViewKind::kRuntime:
    case ViewKind::kState:
    case ViewKind::kEdge:
      return true;
    case ViewKind::kTripwire:
      return at.entry->directory;
    default:
      return false;
  }
}

bool IsDevice(const Location& at) {
  return at.place == Where::kStandard ||
         (at.place == Where::kEntry && at.entry->kind == ViewKind::kDevice);
}

bool IsTripwire(const Location& at) {
  return at.place == Where::kEntry && at.entry->kind == ViewKind::kTripwire;
}

// Why the view itself refuses; empty: it doesn't.
std::string ViewRefusal(Action action, const Location& at) {
  const bool removes = action == Action::kRemove || action == Action::kRename;
  const bool device = IsDevice(at);
  if (at.place == Where::kNothing) return "ENOENT";
  const bool makes = action == Action::kCreate && at.is_child;
  if (IsTripwire(at) && !at.is_mount && !makes) return "it is empty: ENOENT";
  if (IsTripwire(at) && !at.entry->directory && !at.is_mount) return "it is no directory";
  if (Changes(action) && !at.writable && !at.is_mount) return "EROFS";
  if (removes && at.is_mount) return "a mount stays: EBUSY";
  if (action == Action::kCreate && at.is_mount) return "it is there: EEXIST";
  if (Changes(action) && !at.writable) return "EROFS";
  const bool opened = action == Action::kWrite || action == Action::kTruncate;
  if (opened && IsDirectory(at)) return "a directory: EISDIR";
  if (action == Action::kTruncate && device) return "a device has no length";
  if (action == Action::kExecute && !at.executable) return "a mount without execution: EACCES";
  if (action == Action::kList && (device || at.place == Where::kIdentity)) {
    return "no directory: ENOTDIR";
  }
  return {};
}

ControlVerdict ViewVerdict(const Asked& asked, const Location& at) {
  ControlVerdict verdict{Layer::kView, Verdict::kAllow, PlaceText(at), {}, Recorder::kNone};
  verdict.rule = at.place == Where::kEntry ? at.entry->rule : asked.Id("files");
  const std::string refusal = ViewRefusal(asked.question.action, at);
  if (refusal.empty()) return verdict;
  verdict.verdict = Verdict::kDeny;
  if (at.place != Where::kNothing) verdict.text += ": " + refusal;
  return verdict;
}

// What ownership says where the runtime decides it; elsewhere it is the disk's.
std::optional<ControlVerdict> OwnershipVerdict(const Asked& asked, const FileWay& way,
                                               const Location& at) {
  const bool is_root = asked.profile.uid == 0;
  const auto refuse = [&](std::string text) {
    return ControlVerdict{Layer::kOwnership, Verdict::kDeny, std::move(text), asked.Id("user"),
                          Recorder::kNone};
  };
  const bool owned_by_root = at.place == Where::kStandard || IsTripwire(at) ||
                             at.place == Where::kIdentity || at.place == Where::kNotify ||
                             (at.place == Where::kShared && at.is_mount);
  if (way.needs_owner && owned_by_root && !is_root) return refuse("root's: EPERM");
  // Such a directory is kept empty by its mode where Landlock does not (sandbox/view.h).
  const bool closed = IsTripwire(at) && at.is_mount && at.entry->directory && !asked.LogsLandlock();
  const bool proc = at.place == Where::kProc && at.is_mount;
  if ((proc || closed) && asked.question.action == Action::kMetadata && !is_root) {
    return refuse("root's, and nobody writes it: EACCES");
  }
  const bool makes = asked.question.action == Action::kCreate && !at.is_mount;
  if (makes && IsTripwire(at) && !is_root) return refuse("in a directory of root's: EACCES");
  if (at.place == Where::kEntry && at.entry->kind == ViewKind::kEdge && !is_root) {
    const auto edge = std::ranges::find(asked.profile.edges, at.entry->path, &EdgeDirectory::path);
    const bool owner = edge != asked.profile.edges.end() && edge->server;
    const bool changes = Changes(asked.question.action);
    if (changes && !owner) return refuse("the edge is its server's: EACCES");
  }
  return std::nullopt;
}

uint64_t Granted(const ProfileData& profile, std::string_view path, std::string& rule) {
  uint64_t granted = 0;
  size_t nearest = 0;
  for (const LandlockRule& item : profile.landlock.rules) {
    if (!Covers(item.path, path)) continue;
    granted |= item.access;
    if (item.path.size() < nearest) continue;
    nearest = item.path.size();
    rule = item.rule;
  }
  return granted;
}

std::string Parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string RightNames(uint64_t rights) {
  std::string names;
  for (const landlock::Right& right : landlock::kRights) {
    if ((rights & right.bit) != 0) names.append(names.empty() ? "" : ", ").append(right.name);
  }
  return names;
}

// `fallback`: the statement where no rule is about the path.
std::optional<ControlVerdict> LandlockVerdict(const Asked& asked, const FileWay& way,
                                              const std::string& path,
                                              const std::string& fallback) {
  const LandlockPlan& plan = asked.profile.landlock;
  const uint64_t handled = plan.handled_files;
  if (handled == 0 || ((way.on_file | way.on_parent) & handled) == 0) return std::nullopt;
  std::string rule;
  std::string parent_rule;
  const uint64_t missing =
      (way.on_file & handled & ~Granted(asked.profile, path, rule)) |
      (way.on_parent & handled & ~Granted(asked.profile, Parent(path), parent_rule));
  if (rule.empty()) rule = parent_rule;
  if (missing == 0) {
    return ControlVerdict{
        Layer::kLandlock, Verdict::kAllow,
        fmt::format("{} is granted", RightNames((way.on_file | way.on_parent) & handled)), rule,
        Recorder::kNone};
  }
  return ControlVerdict{Layer::kLandlock, Verdict::kDeny,
                        fmt::format("{} is not granted: EACCES", RightNames(missing)),
                        rule.empty() ? fallback : rule,
                        plan.log ? Recorder::kLandlockRecord : Recorder::kNone};
}

// Where Landlock leaves no records the supervisor refuses every opening of a tripwire.
std::optional<ControlVerdict> TripwireVerdict(const Asked& asked, const FileWay& way,
                                              const Location& at) {
  const bool opens =
      asked.question.action == Action::kRead || asked.question.action == Action::kList ||
      asked.question.action == Action::kWrite || asked.question.action == Action::kTruncate;
  if (!IsTripwire(at) || !at.is_mount || asked.profile.landlock.log || !opens) return std::nullopt;
  // truncate(2) opens nothing: it cuts off what is empty.
  if (way.calls.front().call == "truncate") return std::nullopt;
  return ControlVerdict{Layer::kSupervisor, Verdict::kDeny, "every opening is refused and recorded",
                        at.entry->rule, Recorder::kTripwire};
}

// --- two paths ---

bool SameMount(const Location& from, const Location& to) {
  return from.mount == to.mount && from.place == to.place;
}

void AddTarget(const Asked& asked, const Location& from, const FileWay& way, Attempt& attempt) {
  const std::string& path = asked.question.to;
  const Location to = Locate(asked.profile, path);
  ControlVerdict view = ViewVerdict(asked, to);
  const std::string rule = view.rule;
  if (view.verdict == Verdict::kAllow && !SameMount(from, to)) {
    view.verdict = Verdict::kDeny;
    view.text += ": another mount: EXDEV";
  }
  attempt.controls.push_back(std::move(view));
  FileWay into = way;
  into.on_parent = landlock::kMakeReg | landlock::kRemoveFile;
  if (Parent(path) != Parent(asked.question.path)) into.on_parent |= landlock::kRefer;
  if (auto verdict = LandlockVerdict(asked, into, path, rule)) {
    attempt.controls.push_back(std::move(*verdict));
  }
}

std::string Loader(const ProfileData& profile) {
  for (const ViewEntry& entry : profile.view) {
    const std::string_view name = std::string_view(entry.path).substr(entry.path.rfind('/') + 1);
    if (entry.kind == ViewKind::kReadOnly &&
        (name.starts_with("ld-linux") || name.starts_with("ld-musl"))) {
      return entry.path;
    }
  }
  return {};
}

// The loader runs what it can open, read and map as code.
void AddLoader(Asked& asked, const Location& at, Attempts& attempts) {
  constexpr uint64_t kReadAndExecute = 5;  // PROT_READ | PROT_EXEC
  const std::string loader = Loader(asked.profile);
  if (loader.empty() || loader == asked.question.path) return;
  for (const std::string_view call : {"execve", "execveat"}) {
    Attempt attempt;
    attempt.calls = {
        {call, {}}, OpensToRead(), {"read", {}}, {"mmap", {Equal(2, 64, kReadAndExecute)}}};
    attempt.decided_at = 1;
    attempt.controls.push_back(ViewVerdict(asked, at));
    attempt.controls.back().text += fmt::format(", by the loader {}", loader);
    const FileWay runs{{}, landlock::kExecute, 0, false};
    const FileWay reads{{}, landlock::kReadFile, 0, false};
    if (auto verdict = LandlockVerdict(asked, runs, loader, asked.Id("files"))) {
      verdict->text += " on the loader";
      if (verdict->verdict == Verdict::kDeny) attempt.decided_at = 0;
      attempt.controls.push_back(std::move(*verdict));
    }
    if (auto verdict = LandlockVerdict(asked, reads, asked.question.path, asked.Id("files"))) {
      attempt.controls.push_back(std::move(*verdict));
    }
    attempts.push_back(std::move(attempt));
  }
}

// It has what is in the file without a way to it.
void AddSecrets(const Asked& asked, Attempts& attempts) {
  for (const Secret& secret : asked.profile.secrets) {
    if (secret.path != asked.question.path) continue;
    attempts.push_back({{},
                        {{Layer::kDescriptor, Verdict::kAllow,
                          fmt::format("holds a copy of it, as the secret `{}`", secret.name),
                          secret.rule, Recorder::kNone}}});
  }
}

void AddNotes(Asked& asked, const Location& at) {
  const auto add = [&](std::string_view text) {
    asked.note.append(asked.note.empty() ? "" : "; ").append(text);
  };
  if (at.place == Where::kProc) add("what of /proc is there and readable is the kernel's to say");
  const bool disk = at.place == Where::kEntry && !IsTmpfs(at) && !IsTripwire(at);
  if (disk) {
    add("existence, ownership and modes on the disk are not decided here, and links are not "
        "followed");
  }
  if (disk && at.entry->optional) add(fmt::format("{} may be missing at boot", at.entry->path));
  if (IsTmpfs(at)) add("what is there is what the component made");
  if (asked.question.action == Action::kExecute && asked.question.path == asked.profile.argv[0]) {
    add("it is the component's program: the launch runs it, once, before any of its code");
  }
}

}  // namespace

bool IsTripwireAt(const ProfileData& profile, std::string_view path) {
  const ViewEntry* entry = NearestEntry(profile, path);
  return entry != nullptr && entry->kind == ViewKind::kTripwire;
}

Attempts AttemptFile(Asked& asked) {
  const Question& question = asked.question;
  const Location at = Locate(asked.profile, question.path);
  Attempts attempts;
  for (FileWay& way : WaysOfFile(question.action, IsDirectory(at), IsDevice(at))) {
    Attempt attempt;
    attempt.calls = way.calls;
    attempt.controls.push_back(ViewVerdict(asked, at));
    const std::string rule = attempt.controls.front().rule;
    if (auto verdict = OwnershipVerdict(asked, way, at)) {
      attempt.controls.push_back(std::move(*verdict));
    }
    if (question.action == Action::kRename && Parent(question.path) != Parent(question.to)) {
      way.on_parent |= landlock::kRefer;
    }
    if (auto verdict = LandlockVerdict(asked, way, question.path, rule)) {
      attempt.controls.push_back(std::move(*verdict));
    }
    if (auto verdict = TripwireVerdict(asked, way, at))
      attempt.controls.push_back(std::move(*verdict));
    if (question.action == Action::kRename) AddTarget(asked, at, way, attempt);
    if (at.place == Where::kProc && !at.is_mount && Worst(attempt.controls) == Verdict::kAllow) {
      attempt.controls.front().verdict = Verdict::kUndecided;
    }
    attempts.push_back(std::move(attempt));
  }
  if (question.action == Action::kExecute) AddLoader(asked, at, attempts);
  if (question.action == Action::kRead) AddSecrets(asked, attempts);
  AddNotes(asked, at);
  return attempts;
}

}  // namespace bulkhead
