// SPDX-License-Identifier: Apache-2.0
// What the process of a component tries by itself before its exec, at least one operation for each
// control: the controls are seen at work, and not only asked for. A miss ends the launch. All of it
// is harmless where it succeeds: null pointers, descriptor -1, port 0, a path that nobody has, what
// only reads. Not tried: what would kill the process (foreign architectures, filters that kill),
// and signals to processes outside, of which there are none to be seen.
//
// The operations are derived from the profile that is enforced, before the clone; in the child
// nothing allocates. Landlock's refusals of them leave no records (landlock::kLogSameExecOff), but
// the kernel counts them: `landlock_refusals`. Those of the filter reach the supervisor before the
// launch's exec, which tells them from the component's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/kernel.h"
#include "sandbox/step.h"

namespace bulkhead {

struct LaunchPlan;

// The index of a Failure that is about no trial: what the trials need could not be had.
inline constexpr uint32_t kNoTrial = ~uint32_t{0};

// When an operation is tried: a control can hide those behind it.
enum class TrialPhase : uint8_t {
  kEntered,   // in the view, still root: modes of directories refuse nothing
  kConfined,  // in the Landlock domain, the filter not yet in place
  kFiltered,  // all is in place
};

enum class TrialKind : uint8_t {
  kCall,          // `number` with `args`: its result is `expected`
  kOpen,          // the path with flags args[0]: opened is 0
  kIds,           // getresuid or getresgid, by `number`: all three are args[0]
  kGroups,        // the supplementary groups are the profile's
  kCapabilities,  // three sets are empty
  kLimit,         // of resource args[0]: both values are args[1]
  kMount,         // the path is on a mount with the flags args[0], of those in kMountFlags
  kDescriptors,   // none from number args[0] on is open
  kCgroup,        // at least args[0] times `other` is in /proc/self/cgroup
  kNamespace,     // what the path links to is not `other`
  kBind,          // a TCP socket to port 0
  kConnect,       // ... to port 0 of 127.0.0.1
  kAbstract,      // to an abstract socket that was made before the Landlock domain
};

struct Trial {
  TrialPhase phase = TrialPhase::kConfined;
  TrialKind kind = TrialKind::kCall;
  long number = 0;
  long args[6] = {};
  std::string path;
  std::string other;
  long expected = 0;  // 0, or minus an errno
  std::string what;   // for people: "opening / is refused"
  std::string rule;   // the statement behind it
};

struct Witness {
  std::vector<Trial> trials;
  uint64_t landlock_refusals = 0;
};

// Of a plan whose other parts are made. Reads the caller's own namespaces in /proc; where that
// can't be, the witness fails.
Witness PlanWitness(const LaunchPlan& plan);

// How many of a component's refusals by Landlock are its witness's, in each run.
uint64_t LandlockRefusals(const Witness& witness);

// The abstract socket of kAbstract: made before the domain is entered, -1 where none is needed.
class DecoySocket {
 public:
  // 0, or minus an errno.
  long Make(Kernel& kernel, const Witness& witness);
  long Close(Kernel& kernel);

 private:
  friend bool TryAll(Kernel&, const LaunchPlan&, TrialPhase, const DecoySocket&, Failure&);
  long fd_ = -1;
  alignas(8) char address_[16] = {};
  unsigned size_ = 0;
};

// All trials of the phase; on a miss `failure` has the trial's index and what it answered, 0 where
// that was no error.
[[nodiscard]] bool TryAll(Kernel& kernel, const LaunchPlan& plan, TrialPhase phase,
                          const DecoySocket& decoy, Failure& failure);

}  // namespace bulkhead
