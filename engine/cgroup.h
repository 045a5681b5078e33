// SPDX-License-Identifier: Apache-2.0
// Limits of a component by cgroups: memory, number of tasks, CPU time. One directory
// bulkhead-<enclave>-<component> below the supervisor's own cgroup, in each hierarchy that a stated
// limit needs (version 1: one a controller; version 2: one). A limit that cannot be set is an
// error, never a component without it.
//
// Order: Cgroups::Open once; Create, Attach the component's first process before it runs any of
// the component's code; at its end Kill, then Remove until it succeeds. A Cgroup that goes out of
// scope kills and removes by itself, waiting up to a second. Cgroups outlives its Cgroup objects.
// Version 2 wants processes in leaves only, so there the supervisor moves itself into the leaf
// bulkhead-supervisor if its cgroup is not the root, and back at the end. One owner, one thread.
// Sources: Documentation/admin-guide/cgroup-v1/, cgroup-v2.rst; cgroup.kill is Linux 5.14.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "engine/fd.h"
#include "profiles/profile.h"
#include "sandbox/cgroup_mounts.h"

namespace bulkhead {

struct CgroupError {
  std::string step;    // "name", "find", "mkdir", "enable", "limit", "attach", "kill", "remove"
  int error = 0;       // errno
  std::string object;  // file, directory or controller
};

struct CgroupSetting {
  Controller controller = Controller::kMemory;
  std::string file;
  std::string value;
  bool swap = false;  // may be missing where there is no swap: then there is nothing to limit
  bool extra =
      false;  // may be missing: the kernel is older than it, and what was set before it holds
  bool operator==(const CgroupSetting&) const = default;
};

// Pure: what to write, in order, for these limits where controllers are found like this. Only
// memory, processes, cpu_percent and cpu_yields of the limits are a cgroup's. An error names the
// controller that is missing.
//
// `workers`: tasks that are not the component's and enter where its memory is counted (OpenMemory).
// Where its tasks are counted there, too, as by version 2, its limit has room for them.
tl::expected<std::vector<CgroupSetting>, CgroupError> PlanCgroup(const CgroupPlaces& places,
                                                                 const Limits& limits,
                                                                 uint32_t workers = 0);

struct CgroupCounters {
  uint64_t oom_kills = 0;      // also by the limit of a group around this one, or the machine's end
  uint64_t memory_hits = 0;    // moves when it came to its own limit; by version 1 with
                               // each kill since it first did
  uint64_t refused_forks = 0;  // by the limit on tasks
};

class Cgroup {
 public:
  Cgroup(Cgroup&& other) noexcept;
  Cgroup& operator=(Cgroup&&) = delete;
  ~Cgroup();

  // What a process enters it by itself with: the `tasks` files of version 1, open for writing, and
  // the directory of version 2, none where it has none (LaunchPlan::cgroup_tasks).
  struct Entrances {
    std::vector<Fd> tasks;
    Fd directory;
  };
  tl::expected<Entrances, CgroupError> Open() const;

  // The same of memory's alone, which others may share: tasks or the directory; none of them
  // without a limit on memory.
  tl::expected<Entrances, CgroupError> OpenMemory() const;

  // Moves a process, with its threads, to where it is not yet. Its later children are born here.
  tl::expected<void, CgroupError> Attach(pid_t pid) const;

  CgroupCounters Counters() const;

  // Signals everything in it with SIGKILL; does not wait for the ends. True if nothing was left to
  // signal. What forks meanwhile is met by the next call.
  bool Kill() const;
  // The same by one call of the kernel's (cgroup2, cgroup.kill); false where it has none.
  bool KillAtOnce() const;

  // Removes its directories. EBUSY while something in it is still dying: call again.
  tl::expected<void, CgroupError> Remove();

  // For reports and tests: empty for a component without such limits.
  std::vector<std::string> Directories() const;
  std::optional<uint64_t> MemoryInUse() const;  // bytes; nothing without a memory limit

 private:
  friend class Cgroups;
  struct Level {
    std::vector<Controller> controllers;
    CgroupPlace place;  // the component's own directory
  };
  static tl::expected<void, CgroupError> OpenLevel(const CgroupPlace& place, Entrances& entrances);
  Cgroup() = default;
  const CgroupPlace* Find(Controller controller) const;

  std::vector<Level> levels_;
};

class Cgroups {
 public:
  static Cgroups Open() { return Cgroups(FindCgroups()); }
  Cgroups(Cgroups&& other) noexcept;
  Cgroups& operator=(Cgroups&&) = delete;
  ~Cgroups();

  // `instance`: of a component with several runs at a time, counted from 1; 0: of the only one.
  // `workers` as of PlanCgroup.
  tl::expected<Cgroup, CgroupError> Create(std::string_view enclave, std::string_view component,
                                           const Limits& limits, uint32_t instance = 0,
                                           uint32_t workers = 0);

 private:
  explicit Cgroups(CgroupPlaces places) : places_(std::move(places)) {}
  tl::expected<void, CgroupError> Delegate(Controller controller, const std::string& directory);
  tl::expected<void, CgroupError> MoveToLeaf(const std::string& directory);
  tl::expected<void, CgroupError> MakeLevel(Cgroup& group, Controller controller,
                                            const std::string& name);

  CgroupPlaces places_;
  std::string delegated_;          // version 2 directory whose subtree_control we changed
  std::vector<Controller> added_;  // to it
  bool moved_ = false;             // this process sits in the leaf
};

}  // namespace bulkhead
