// SPDX-License-Identifier: Apache-2.0
#include "compiler/bundle_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr std::string_view kElsewhere = "/elsewhere";  // what no statement speaks of

// What both bundles speak of.
struct Objects {
  std::set<std::string> paths;
  std::set<std::string> sockets;
  std::set<uint32_t> ports;
  std::set<std::string> components;
  std::set<std::string> assets;
};

void AddPath(Objects& objects, const std::string& path) {
  objects.paths.insert(path);
  objects.paths.insert(path == "/" ? std::string(kElsewhere) : path + std::string(kElsewhere));
}

void Collect(const BundleData& bundle, Objects& objects) {
  for (const Asset& asset : bundle.assets) {
    objects.assets.insert(asset.name);
    for (const std::string& file : asset.files) AddPath(objects, file);
  }
  for (const ProfileData& component : bundle.components) {
    objects.components.insert(component.name);
    for (const Listener& listener : component.listeners) {
      if (listener.kind == ListenerKind::kTcp) objects.ports.insert(listener.port);
      if (listener.kind == ListenerKind::kUnixStream) objects.sockets.insert(listener.path);
    }
    for (const LandlockPort& port : component.landlock.ports) objects.ports.insert(port.port);
  }
}

// A port that none of them names.
uint32_t OtherPort(const std::set<uint32_t>& ports) {
  uint32_t port = 1;
  while (ports.contains(port)) ++port;
  return port;
}

class Differ {
 public:
  Differ(const Bundle& before, const Bundle& after)
      : before_(*before), after_(*after), old_(before), new_(after) {
    Collect(before_, objects_);
    Collect(after_, objects_);
  }

  tl::expected<std::vector<Difference>, std::string> Run() {
    if (before_.target.arch != after_.target.arch) {
      return tl::make_unexpected("the bundles are for different architectures");
    }
    for (const std::string& name : objects_.components) {
      const ProfileData* old_profile = Find(before_, name);
      const ProfileData* new_profile = Find(after_, name);
      if (old_profile == nullptr || new_profile == nullptr) {
        const bool added = old_profile == nullptr;
        Add(added ? Change::kWidened : Change::kNarrowed, name, "component", name, {}, {},
            added ? "a new component" : "no component any more");
        continue;
      }
      Compare(*old_profile, *new_profile);
      if (!error_.empty()) return tl::make_unexpected(error_);
    }
    std::ranges::sort(differences_, {}, [](const Difference& d) {
      return std::tie(d.component, d.area, d.change, d.witness);
    });
    return std::move(differences_);
  }

 private:
  static const ProfileData* Find(const BundleData& bundle, std::string_view name) {
    const auto found = std::ranges::find(bundle.components, name, &ProfileData::name);
    return found == bundle.components.end() ? nullptr : &*found;
  }

  void Add(Change change, const std::string& component, std::string area, std::string witness,
           std::string old_rule, std::string new_rule, std::string text) {
    differences_.push_back({change, component, std::move(area), std::move(witness),
                            std::move(old_rule), std::move(new_rule), std::move(text)});
  }

  void Compare(const ProfileData& one, const ProfileData& other) {
    CompareCalls(one, other);
    CompareFiles(one, other);
    CompareNetwork(one, other);
    ComparePeers(one, other);
    CompareLimits(one, other);
    CompareRest(one, other);
  }

  // An action and its words, in both bundles.
  void Ask(const ProfileData& one, const ProfileData& other, std::string_view area,
           std::string_view action, const std::vector<std::string>& object) {
    const auto question = ParseQuestion(one.arch, action, object);
    if (!question) return;  // such as reaching oneself
    const auto old_answer = old_.Ask(one, *question);
    const auto new_answer = new_.Ask(other, *question);
    // Something that one enclave lacks was compared as such.
    if (!old_answer || !new_answer || old_answer->verdict == new_answer->verdict) return;
    std::string witness(action);
    for (const std::string& word : object) witness.append(" ").append(word);
    Add(new_answer->verdict < old_answer->verdict ? Change::kWidened : Change::kNarrowed, one.name,
        std::string(area), std::move(witness), old_answer->rule, new_answer->rule,
        fmt::format("{}, now {}", VerdictName(old_answer->verdict),
                    VerdictName(new_answer->verdict)));
  }

  void CompareCalls(const ProfileData& one, const ProfileData& other) {
    const auto old_sets = reads_.Read(one.arch, one.filter);
    const auto new_sets = reads_.Read(other.arch, other.filter);
    if (!old_sets || !new_sets) {
      error_ = old_sets ? new_sets.error() : old_sets.error();
      return;
    }
    std::set<uint32_t> numbers;
    for (const auto* sets : {*old_sets, *new_sets}) {
      for (const auto& [nr, set] : *sets) numbers.insert(nr);
    }
    for (const uint32_t nr : numbers) {
      const CallSets::Set before = SetOf(**old_sets, nr);
      const CallSets::Set after = SetOf(**new_sets, nr);
      AddCall(Change::kWidened, one, nr, after, before);
      AddCall(Change::kNarrowed, one, nr, before, after);
    }
  }

  static CallSets::Set SetOf(const AllowedSets& sets, uint32_t nr) {
    const auto found = sets.find(nr);
    return found == sets.end() ? Bdd::kNothing : found->second;
  }

  // A call of `more` that is not one of `less`.
  void AddCall(Change change, const ProfileData& component, uint32_t nr, CallSets::Set more,
               CallSets::Set less) {
    CallSets& sets = reads_.sets();
    const CallSets::Set gained = sets.bdd().And(more, Bdd::Not(less));
    if (gained == Bdd::kNothing) return;
    const SeccompData data = sets.AnyMember(gained);
    const std::string_view name = SyscallName(component.arch, nr);
    std::string witness = fmt::format("syscall {}", name);
    const SyscallArgList args = SyscallArgs(component.arch, name);
    for (size_t i = 0; i < args.size(); ++i) {
      // All are said: with others the answer may be another.
      witness += fmt::format(" {}={:#x}", args[i].name, data.args.at(i));
    }
    const bool widened = change == Change::kWidened;
    const std::string rule = "components." + component.name + ".syscalls";
    Add(change, component.name, "syscalls", std::move(witness), rule, rule,
        fmt::format("{}{}", widened ? "refused, now passes" : "passed, now refused",
                    less == Bdd::kNothing ? ", whatever the arguments" : ""));
  }

  void CompareFiles(const ProfileData& one, const ProfileData& other) {
    Objects objects = objects_;
    objects.paths.insert(std::string(kElsewhere));
    for (const char* own : {"/", "/dev/null", "/dev/shm", "/etc/passwd", "/proc/self/status"}) {
      AddPath(objects, own);
    }
    for (const ProfileData* profile : {&one, &other}) {
      for (const ViewEntry& entry : profile->view) AddPath(objects, entry.path);
    }
    for (const std::string& path : objects.paths) {
      for (const ActionRow& row : Actions()) {
        if (row.object == ObjectKind::kPath) Ask(one, other, "files", row.name, {path});
        if (row.object == ObjectKind::kTwoPaths) {
          Ask(one, other, "files", row.name, {path, path + ".new"});
        }
      }
    }
  }

  void CompareNetwork(const ProfileData& one, const ProfileData& other) {
    std::set<uint32_t> ports = objects_.ports;
    ports.insert(OtherPort(ports));
    std::vector<std::string> ends{"unix:@elsewhere", "unix:/elsewhere", "vsock:3:1"};
    for (const uint32_t port : ports) {
      ends.push_back(fmt::format("tcp:{}", port));
      ends.push_back(fmt::format("udp:{}", port));
    }
    for (const std::string& path : objects_.sockets) ends.push_back("unix:" + path);
    for (const std::string& end : ends) {
      for (const char* action : {"connect", "listen"}) Ask(one, other, "network", action, {end});
    }
  }

  void ComparePeers(const ProfileData& one, const ProfileData& other) {
    for (const std::string& name : objects_.components) {
      for (const char* action : {"reach", "signal", "trace", "memory"}) {
        Ask(one, other, "peers", action, {name});
      }
    }
    for (const std::string& asset : objects_.assets) Ask(one, other, "assets", "reach", {asset});
    Ask(one, other, "peers", "capability", {"CAP_SYS_ADMIN"});
  }

  template <typename Number>
  void CompareLimit(const ProfileData& one, std::string_view name, Number before, Number after) {
    if (before == after) return;
    // 0 is no limit.
    const bool widened = after == 0 || (before != 0 && after > before);
    const auto text = [](Number value) {
      return value == 0 ? std::string("no limit") : fmt::format("{}", value);
    };
    const std::string rule = "components." + one.name + ".limits." + std::string(name);
    Add(widened ? Change::kWidened : Change::kNarrowed, one.name, "limits", std::string(name), rule,
        rule, fmt::format("{}, now {}", text(before), text(after)));
  }

  void CompareLimits(const ProfileData& one, const ProfileData& other) {
    CompareLimit(one, "memory", one.limits.memory, other.limits.memory);
    CompareLimit(one, "processes", one.limits.processes, other.limits.processes);
    CompareLimit(one, "files", one.limits.files, other.limits.files);
    CompareLimit(one, "cpu", one.limits.cpu_percent, other.limits.cpu_percent);
    CompareLimit(one, "file-size", one.limits.file_size, other.limits.file_size);
  }

  // What gives and takes nothing, but is another enclave.
  void CompareRest(const ProfileData& one, const ProfileData& other) {
    const auto changed = [&](bool differs, std::string_view what) {
      if (!differs) return;
      Add(Change::kNeutral, one.name, "component", std::string(what),
          "components." + one.name + "." + std::string(what),
          "components." + one.name + "." + std::string(what), "changed");
    };
    changed(one.argv != other.argv || one.pin != other.pin, "exec");
    changed(one.environment != other.environment, "env");
    changed(one.uid != other.uid || one.gid != other.gid, "user");
    changed(one.directory != other.directory || one.umask != other.umask, "directory");
    changed(one.stdin_from != other.stdin_from || one.stdout_to != other.stdout_to ||
                one.stderr_to != other.stderr_to,
            "stdin, stdout, stderr");
    changed(one.lifecycle != other.lifecycle, "life cycle");
    changed(one.on_violation != other.on_violation, "on-violation");
  }

  const BundleData& before_;
  const BundleData& after_;
  Evaluator old_;
  Evaluator new_;
  FilterReads reads_;  // both filters in one set of diagrams, so that equal sets are equal nodes
  Objects objects_;
  std::vector<Difference> differences_;
  std::string error_;
};

}  // namespace

std::string_view ChangeName(Change change) {
  constexpr std::string_view kNames[] = {"widened", "narrowed", "neutral"};
  return kNames[static_cast<size_t>(change)];
}

tl::expected<std::vector<Difference>, std::string> DiffBundles(const Bundle& before,
                                                               const Bundle& after) {
  return Differ(before, after).Run();
}

}  // namespace bulkhead
