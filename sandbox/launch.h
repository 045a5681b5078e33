// SPDX-License-Identifier: Apache-2.0
// Starts one component: a reaper as PID 1 of new namespaces, and under it the component's process,
// which confines itself step by step, waits for the supervisor where it must, and executes.
//
// The order (each step may rely on the one before): mounts -> view -> Landlock ruleset from inside
// the view -> fork; in the child: hello, session and keyring -> wait for `go`, and for the reaper,
// which has detached the old root meanwhile -> descriptors -> limits -> ids -> capabilities ->
// listen -> no_new_privs -> Landlock -> seccomp -> exec; the witness's trials come after the view,
// after Landlock and after seccomp (sandbox/witness.h).
// Between fork and exec nothing allocates, locks or logs; the child has the reaper's memory and
// LaunchPlan::stack (clone(2), CLONE_VM), and writes to nothing but that stack.
//
// Handshake on LaunchResult::handshake (SOCK_SEQPACKET, close-on-exec in the child):
//   child -> supervisor  Hello       credentials carry the child's pid in the supervisor's
//   namespace supervisor -> child  one byte    after the child is in its cgroups and the supervisor
//   holds what
//                                    it needs to take the listener, and no copy of its connection
//   child -> supervisor  Witnessed   confined, and each control was seen at work
//   child -> supervisor  Failure     and the child exits; or end of file: executed (or died)
// LaunchResult::installed reaches end of file when the seccomp filter is in place; the listener is
// then the child's descriptor ListenerNumber(profile), to be taken with pidfd_getfd(2) (5.6). A
// profile that doesn't notify has none; its exec passes by the reaper (launch_trace.h).
// LaunchResult::control is the reaper's: see ReaperMessage.
//
// Not thread-safe: one thread forks.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "profiles/profile.h"
#include "sandbox/kernel.h"
#include "sandbox/step.h"
#include "sandbox/view.h"
#include "sandbox/witness.h"

namespace bulkhead {

inline constexpr pid_t kComponentPid = 2;  // inside its namespace; the reaper is 1
// A number no kernel has, refused by every filter: see LaunchPlan::launch_call.
inline constexpr uint32_t kBarrierCall = 0x3fffffff;
inline constexpr size_t kStackSize = 256 * 1024;  // of which only what is used takes memory
// Of a component's workers (sandbox/broker_worker.h): its uid has so many processes besides its
// own.
inline constexpr uint32_t kMaxWorkers = 4;
// RLIMIT_NPROC, which counts all processes of a uid.
uint64_t ProcessLimit(const ProfileData& profile);
inline constexpr uint32_t kHelloMagic = 0x62686c31;

struct Hello {
  uint32_t magic = kHelloMagic;
};

inline constexpr uint32_t kWitnessedMagic = 0x62687731;

struct Witnessed {
  uint32_t magic = 0;
  uint32_t trials = 0;
  uint64_t nanoseconds = 0;
};

// Reaper to supervisor.
struct ReaperMessage {
  enum class Kind : uint32_t {
    kFailure = 1,
    kExit = 2,
    kReady = 3,
    kAlive = 4,
    kStopped = 5,  // SIGSTOP was sent to all
  };
  Kind kind = Kind::kFailure;
  Failure failure;       // kFailure
  int32_t status = 0;    // kExit: wait status of the component's process
  uint32_t orphans = 0;  // kExit: other processes reaped
};

// Supervisor to reaper: deliver a signal to the component's process, or to all in its namespace.
struct ReaperCommand {
  int32_t signal = 0;
  uint32_t all = 0;
};

// Everything the children need, prepared before the clone. Pointers inside refer to this object:
// it is not copied or moved once prepared.
struct LaunchPlan {
  explicit LaunchPlan(const Profile& component) : profile(component) {}
  LaunchPlan(const LaunchPlan&) = delete;
  LaunchPlan& operator=(const LaunchPlan&) = delete;

  const Profile& profile;
  std::string staging;
  std::vector<ViewOp> view;
  // A mount namespace that has of the view what is the same for all runs (sandbox/prepared_view.h),
  // and what is not; -1: none, all of it is put together by the reaper.
  int view_namespace = -1;
  SplitOps split;
  // A network namespace of this run alone (sandbox/spare_network.h); -1: the clone makes one, where
  // it is not to use the supervisor's.
  int network_namespace = -1;
  int stdout_fd = -1;  // -1: /dev/null
  int stderr_fd = -1;
  std::vector<int> passed;                // descriptors 3, 4, …: listeners, then channel ends
  std::vector<std::string> passed_names;  // LISTEN_FDNAMES, one each
  bool accepted = false;       // an instance: what is passed is its connection, and no listener
  bool wait_killable = false;  // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (5.19)
  bool close_range = false;    // the target has close_range(2) (5.9)
  int tripwire_fd = -1;        // fanotify group for tripwires, -1: Landlock records them
  std::string cgroup;          // the name of the groups that it is put into; empty: none
  int cgroup_levels = 1;       // in how many hierarchies
  // How it enters them by itself: the `tasks` files of version 1, open for writing, and the
  // directory of version 2, which the clone takes (Linux 5.7), -1: none. To be moved by somebody
  // else waits for a grace period of the whole machine, many milliseconds (kernel/cgroup/cgroup.c,
  // cgroup_procs_write_start; clone3(2)).
  std::vector<int> cgroup_tasks;
  int cgroup_directory = -1;
  int notify_fd = -1;  // readiness socket, for the reaper to read; -1: none
  // Made by Prepare().
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<int> bounding;
  Witness witness;
  // The one call of the launch that passes the listener: the exec itself where the filter refuses
  // it from then on, else kBarrierCall, made just before the exec so that nothing is executed
  // before the supervisor holds the listener (which the exec closes in the child).
  uint32_t launch_call = kBarrierCall;

  std::unique_ptr<std::byte[]> stack;  // of the component's process until its exec

  // Without a listener the filter asks a tracer about the launch's exec: sandbox/launch_trace.h.
  bool traced = false;

  // Fills the derived part. To be called once, last. `before`, if any, is the plan of an earlier
  // run of the same component, whose witness is taken over where it would be the same.
  void Prepare(LaunchPlan* before = nullptr);

 private:
  bool SameWitness(const LaunchPlan& other) const;
};

struct LaunchResult {
  pid_t reaper = -1;
  int control = -1;
  int handshake = -1;
  int installed = -1;
};

// Number of the listener in the component's process.
int ListenerNumber(const LaunchPlan& plan);

// Clones the reaper. On failure `reaper` is -1 and `error` an errno; nothing is left behind.
LaunchResult Launch(Kernel& kernel, const LaunchPlan& plan, int& error);

}  // namespace bulkhead
