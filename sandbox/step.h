// SPDX-License-Identifier: Apache-2.0
// The steps of confining a component, in the order in which they are done, and the record by which
// the child reports the one that failed. Plain data, one fixed-size message on a socket.
#pragma once

#include <cstdint>
#include <string_view>

namespace bulkhead {

enum class Step : uint32_t {
  // In the reaper, PID 1 of the new namespaces.
  kParentDeath = 1,
  kPrivateMounts,
  kViewRoot,
  kViewEntry,  // index: which operation of the view
  kViewSeal,
  kPivot,
  kPreparedView,
  kSpareNetwork,
  kHostName,
  kOutOfMemory,
  kRuleset,
  kRulesetPath,  // index: which Landlock rule
  kRulesetPort,  // index: which port
  kFork,
  kReaperCapabilities,
  kReaperFilter,
  // In the component's own process.
  kTrace,   // on kernels without listeners
  kCgroup,  // index: which hierarchy
  kHello,
  kPid,
  kSession,
  kKeyring,
  kDescriptors,
  kLimit,  // index: which resource limit
  kUmask,
  kDirectory,
  kGroups,
  kGid,
  kSecureBits,
  kBounding,  // index: which capability
  kUid,
  kCapabilities,
  kListen,  // index: which listener
  kNoNewPrivileges,
  kLandlock,
  kFilter,
  kWitness,  // index: which trial; error 0: what should be refused was not
  kProgram,
  kExec,
};

std::string_view StepName(Step step);

struct Failure {
  Step step = Step::kExec;
  uint32_t index = 0;
  int32_t error = 0;  // errno
};

}  // namespace bulkhead
