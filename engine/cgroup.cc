// SPDX-License-Identifier: Apache-2.0
#include "engine/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace bulkhead {
namespace {

using Failure = tl::unexpected<CgroupError>;

constexpr std::string_view kLeaf = "/bulkhead-supervisor";
constexpr uint64_t kPeriodUs = 100000;
constexpr int kRemovePatienceMs = 1000;

// 0 or errno. Control files take a value in one write or not at all.
int WriteControl(const std::string& path, std::string_view value) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t written = write(fd, value.data(), value.size());
  const int error = written < 0 ? errno : 0;
  close(fd);
  return error;
}

// A limit of bytes is kept in whole pages.
bool Holds(const std::string& path, const CgroupSetting& setting) {
  const std::string text = ReadSmallFile(path);
  const std::string_view kept = std::string_view(text).substr(0, text.find('\n'));
  if (setting.controller != Controller::kMemory) return kept == setting.value;
  uint64_t wanted = 0;
  uint64_t bytes = 0;
  const std::string& value = setting.value;
  const auto read = std::from_chars(kept.data(), kept.data() + kept.size(), bytes);
  std::from_chars(value.data(), value.data() + value.size(), wanted);
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return read.ec == std::errc() && bytes <= wanted && wanted - bytes < page;
}

bool HasSwap() {
  const std::string swaps = ReadSmallFile("/proc/swaps");
  return std::count(swaps.begin(), swaps.end(), '\n') > 1;
}

// The number after `key` and a space, at a line's start: "oom_kill 3".
uint64_t KeyedNumber(const std::string& text, std::string_view key) {
  const std::string wanted = std::string("\n").append(key).append(" ");
  const std::string lines = std::string("\n").append(text);
  const size_t found = lines.find(wanted);
  if (found == std::string::npos) return 0;
  uint64_t value = 0;
  std::from_chars(lines.data() + found + wanted.size(), lines.data() + lines.size(), value);
  return value;
}

// 0 where there is none.
uint64_t Number(const std::string& path) {
  return std::strtoull(ReadSmallFile(path).c_str(), nullptr, 10);
}

std::vector<pid_t> Members(const std::string& directory) {
  std::vector<pid_t> members;
  const std::string text = ReadSmallFile(directory + "/cgroup.procs");
  const char* at = text.data();
  const char* end = at + text.size();
  pid_t pid = 0;
  while (at < end) {
    const auto [stop, error] = std::from_chars(at, end, pid);
    if (error != std::errc()) break;
    if (pid > 0 && pid != getpid()) members.push_back(pid);
    at = stop + 1;
  }
  return members;
}

// A pid read from a file may be another process by the time it is signalled. Held by a pidfd and
// still a member afterwards, it is one that belongs here. A kernel without pidfds (before
// Linux 5.3) signals nobody here: what is left dies with its PID namespace, whose reaper the
// supervisor kills.
void SignalMembers(const std::string& directory, const std::vector<pid_t>& members) {
  for (const pid_t pid : members) {
    const int handle = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (handle < 0) continue;
    const std::vector<pid_t> now = Members(directory);
    if (std::find(now.begin(), now.end(), pid) != now.end()) {
      syscall(SYS_pidfd_send_signal, handle, SIGKILL, nullptr, 0);
    }
    close(handle);
  }
}

bool IsName(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !name.empty() && name.size() <= 100 &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

void PlanMemory(uint32_t version, uint64_t bytes, std::vector<CgroupSetting>& out) {
  const std::string value = std::to_string(bytes);
  if (version == 1) {
    // memsw is memory and swap together, and may not be below memory's own limit.
    out.push_back({Controller::kMemory, "memory.limit_in_bytes", value, false});
    out.push_back({Controller::kMemory, "memory.memsw.limit_in_bytes", value, true});
  } else {
    out.push_back({Controller::kMemory, "memory.max", value, false});
    out.push_back({Controller::kMemory, "memory.swap.max", "0", true});
  }
}

// cpu.idle (Linux 5.15) is what gives way at once to a process that wakes up; the weight alone only
// takes less. Once idle, a group's weight can't be set.
void PlanYielding(uint32_t version, std::vector<CgroupSetting>& out) {
  if (version == 1) {
    out.push_back({Controller::kCpu, "cpu.shares", "2"});
  } else {
    out.push_back({Controller::kCpu, "cpu.weight", "1"});
  }
  out.push_back({.controller = Controller::kCpu, .file = "cpu.idle", .value = "1", .extra = true});
}

void PlanCpu(uint32_t version, uint32_t percent, std::vector<CgroupSetting>& out) {
  const std::string period = std::to_string(kPeriodUs);
  const std::string quota = std::to_string(kPeriodUs * percent / 100);
  if (version == 1) {
    out.push_back({Controller::kCpu, "cpu.cfs_period_us", period, false});
    out.push_back({Controller::kCpu, "cpu.cfs_quota_us", quota, false});
  } else {
    out.push_back({Controller::kCpu, "cpu.max", quota + " " + period, false});
  }
}

}  // namespace

tl::expected<std::vector<CgroupSetting>, CgroupError> PlanCgroup(const CgroupPlaces& places,
                                                                 const Limits& limits,
                                                                 uint32_t workers) {
  const bool together = limits.memory != 0 && places.At(Controller::kMemory).directory ==
                                                  places.At(Controller::kPids).directory;
  const uint64_t tasks = limits.processes + (together ? workers : 0);
  const uint64_t stated[] = {limits.memory, limits.processes == 0 ? 0 : tasks,
                             uint64_t{limits.cpu_percent} + (limits.cpu_yields ? 1 : 0)};
  std::vector<CgroupSetting> settings;
  for (const Controller controller : kControllers) {
    const uint64_t limit = stated[static_cast<size_t>(controller)];
    if (limit == 0) continue;
    const uint32_t version = places.At(controller).version;
    if (version == 0) {
      return Failure({"find", ENOENT, std::string(ControllerName(controller))});
    }
    switch (controller) {
      case Controller::kMemory:
        PlanMemory(version, limit, settings);
        break;
      case Controller::kPids:
        settings.push_back({controller, "pids.max", std::to_string(limit), false});
        break;
      case Controller::kCpu:
        if (limits.cpu_percent != 0) PlanCpu(version, limits.cpu_percent, settings);
        if (limits.cpu_yields) PlanYielding(version, settings);
        break;
    }
  }
  return settings;
}

Cgroup::Cgroup(Cgroup&& other) noexcept : levels_(std::exchange(other.levels_, {})) {}

Cgroup::~Cgroup() {
  for (int waited = 0; waited < kRemovePatienceMs && !levels_.empty(); ++waited) {
    Kill();
    if (!Remove()) usleep(1000);
  }
}

tl::expected<Cgroup::Entrances, CgroupError> Cgroup::Open() const {
  Entrances entrances;
  for (const Level& level : levels_) {
    if (auto opened = OpenLevel(level.place, entrances); !opened) {
      return tl::unexpected(opened.error());
    }
  }
  return entrances;
}

tl::expected<Cgroup::Entrances, CgroupError> Cgroup::OpenMemory() const {
  Entrances entrances;
  const CgroupPlace* memory = Find(Controller::kMemory);
  if (memory == nullptr) return entrances;
  if (auto opened = OpenLevel(*memory, entrances); !opened) return tl::unexpected(opened.error());
  return entrances;
}

tl::expected<void, CgroupError> Cgroup::OpenLevel(const CgroupPlace& place, Entrances& entrances) {
  const bool first = place.version == 1;
  const std::string path = first ? place.directory + "/tasks" : place.directory;
  Fd fd(open(path.c_str(), (first ? O_WRONLY : O_RDONLY | O_DIRECTORY) | O_CLOEXEC));
  if (!fd) return Failure({"open", errno, path});
  if (first) {
    entrances.tasks.push_back(std::move(fd));
  } else {
    entrances.directory = std::move(fd);
  }
  return {};
}

tl::expected<void, CgroupError> Cgroup::Attach(pid_t pid) const {
  for (const Level& level : levels_) {
    const std::vector<pid_t> members = Members(level.place.directory);
    if (std::find(members.begin(), members.end(), pid) != members.end()) continue;
    const std::string file = level.place.directory + "/cgroup.procs";
    const int error = WriteControl(file, std::to_string(pid));
    if (error != 0) return Failure({"attach", error, file});
  }
  return {};
}

const CgroupPlace* Cgroup::Find(Controller controller) const {
  for (const Level& level : levels_) {
    const auto& held = level.controllers;
    if (std::find(held.begin(), held.end(), controller) != held.end()) return &level.place;
  }
  return nullptr;
}

CgroupCounters Cgroup::Counters() const {
  CgroupCounters counters;
  if (const CgroupPlace* memory = Find(Controller::kMemory)) {
    const bool first = memory->version == 1;
    const std::string events =
        ReadSmallFile(memory->directory + (first ? "/memory.oom_control" : "/memory.events"));
    counters.oom_kills = KeyedNumber(events, "oom_kill");
    if (first) {
      // What is charged is charged in parts of up to 64 pages, and failcnt isn't counted everywhere
      // (mm/memcontrol.c, MEMCG_CHARGE_BATCH).
      constexpr uint64_t kNear = 1 << 20;
      const uint64_t most = Number(memory->directory + "/memory.max_usage_in_bytes");
      const uint64_t limit = Number(memory->directory + "/memory.limit_in_bytes");
      counters.memory_hits = most + kNear >= limit ? counters.oom_kills : 0;
    } else {
      counters.memory_hits = KeyedNumber(events, "max");
    }
  }
  if (const CgroupPlace* pids = Find(Controller::kPids)) {
    counters.refused_forks = KeyedNumber(ReadSmallFile(pids->directory + "/pids.events"), "max");
  }
  return counters;
}

std::optional<uint64_t> Cgroup::MemoryInUse() const {
  const CgroupPlace* memory = Find(Controller::kMemory);
  if (memory == nullptr) return std::nullopt;
  const char* file = memory->version == 1 ? "/memory.usage_in_bytes" : "/memory.current";
  const std::string text = ReadSmallFile(memory->directory + file);
  uint64_t bytes = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return read.ec == std::errc() ? std::optional(bytes) : std::nullopt;
}

bool Cgroup::Kill() const {
  bool empty = true;
  for (const Level& level : levels_) {
    const std::vector<pid_t> members = Members(level.place.directory);
    if (members.empty()) continue;
    empty = false;
    const bool whole =
        level.place.version == 2 && WriteControl(level.place.directory + "/cgroup.kill", "1") == 0;
    if (!whole) SignalMembers(level.place.directory, members);
  }
  return empty;
}

bool Cgroup::KillAtOnce() const {
  return std::ranges::any_of(levels_, [](const Level& level) {
    return level.place.version == 2 &&
           WriteControl(level.place.directory + "/cgroup.kill", "1") == 0;
  });
}

tl::expected<void, CgroupError> Cgroup::Remove() {
  while (!levels_.empty()) {
    const std::string& directory = levels_.back().place.directory;
    if (rmdir(directory.c_str()) != 0 && errno != ENOENT) {
      return Failure({"remove", errno, directory});
    }
    levels_.pop_back();
  }
  return {};
}

std::vector<std::string> Cgroup::Directories() const {
  std::vector<std::string> directories;
  for (const Level& level : levels_) directories.push_back(level.place.directory);
  return directories;
}

Cgroups::Cgroups(Cgroups&& other) noexcept
    : places_(std::move(other.places_)),
      delegated_(std::exchange(other.delegated_, {})),
      added_(std::exchange(other.added_, {})),
      moved_(std::exchange(other.moved_, false)) {}

Cgroups::~Cgroups() {
  for (const Controller controller : added_) {
    WriteControl(delegated_ + "/cgroup.subtree_control",
                 std::string("-").append(ControllerName(controller)));
  }
  if (!moved_) return;
  WriteControl(delegated_ + "/cgroup.procs", std::to_string(getpid()));
  rmdir((delegated_ + std::string(kLeaf)).c_str());
}

tl::expected<void, CgroupError> Cgroups::MoveToLeaf(const std::string& directory) {
  const std::string leaf = directory + std::string(kLeaf);
  if (mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST) return Failure({"mkdir", errno, leaf});
  const int error = WriteControl(leaf + "/cgroup.procs", std::to_string(getpid()));
  if (error != 0) return Failure({"attach", error, leaf});
  moved_ = true;
  return {};
}

tl::expected<void, CgroupError> Cgroups::Delegate(Controller controller,
                                                  const std::string& directory) {
  const std::string file = directory + "/cgroup.subtree_control";
  const std::string name(ControllerName(controller));
  const std::string enabled = std::string(" ").append(ReadSmallFile(file));
  if (enabled.find(" " + name + " ") != std::string::npos ||
      enabled.find(" " + name + "\n") != std::string::npos) {
    return {};
  }
  delegated_ = directory;
  int error = WriteControl(file, "+" + name);
  if (error == EBUSY && !moved_) {
    if (auto moved = MoveToLeaf(directory); !moved) return moved;
    error = WriteControl(file, "+" + name);
  }
  if (error != 0) return Failure({"enable", error, file});
  added_.push_back(controller);
  return {};
}

tl::expected<void, CgroupError> Cgroups::MakeLevel(Cgroup& group, Controller controller,
                                                   const std::string& name) {
  const CgroupPlace& place = places_.At(controller);
  if (place.version == 2) {
    if (auto delegated = Delegate(controller, place.directory); !delegated) return delegated;
  }
  const std::string directory = place.directory + "/" + name;
  for (Cgroup::Level& level : group.levels_) {
    if (level.place.directory != directory) continue;
    level.controllers.push_back(controller);
    return {};
  }
  // What a killed supervisor left behind goes; what still holds processes is somebody's.
  bool made = mkdir(directory.c_str(), 0755) == 0;
  if (!made && errno == EEXIST && rmdir(directory.c_str()) == 0) {
    made = mkdir(directory.c_str(), 0755) == 0;
  }
  if (!made) return Failure({"mkdir", errno, directory});
  group.levels_.push_back({{controller}, {place.version, directory}});
  return {};
}

tl::expected<Cgroup, CgroupError> Cgroups::Create(std::string_view enclave,
                                                  std::string_view component, const Limits& limits,
                                                  uint32_t instance, uint32_t workers) {
  if (!IsName(enclave)) return Failure({"name", EINVAL, std::string(enclave)});
  if (!IsName(component)) return Failure({"name", EINVAL, std::string(component)});
  const auto settings = PlanCgroup(places_, limits, workers);
  if (!settings) return tl::unexpected(settings.error());
  std::string name = "bulkhead-" + std::string(enclave) + "-" + std::string(component);
  if (instance != 0) name += "@" + std::to_string(instance);  // in no component's name
  Cgroup group;
  for (const CgroupSetting& setting : *settings) {
    if (group.Find(setting.controller) == nullptr) {
      auto made = MakeLevel(group, setting.controller, name);
      if (!made) return tl::unexpected(made.error());
    }
    const std::string file = group.Find(setting.controller)->directory + "/" + setting.file;
    const int error = WriteControl(file, setting.value);
    if (error == ENOENT && ((setting.swap && !HasSwap()) || setting.extra)) continue;
    if (error != 0) return Failure({"limit", error, file});
    if (!Holds(file, setting)) return Failure({"limit (read back)", EIO, file});
  }
  return group;
}

}  // namespace bulkhead
