// SPDX-License-Identifier: Apache-2.0
// The component's own process between fork and exec: confinement, then execution. Executing needs
// the proof that confinement was applied, as a type that only Confine can make. Internal to
// sandbox/. No allocation, no locks, no logging.
#pragma once

#include <optional>

#include "sandbox/launch.h"

namespace bulkhead {

struct ChildDescriptors {
  int handshake = -1;
  int installed = -1;
  int ruleset = -1;  // -1: no Landlock on this target
  int program = -1;  // opened and compared with its pin; -1: no pin
  int alone = -1;    // the reaper's word that the old root is gone
};

// Proof that every step up to and with the seccomp filter was done, and that the witness saw each
// control at work.
class Applied {
 private:
  Applied() = default;
  friend std::optional<Applied> Confine(Kernel&, const LaunchPlan&, ChildDescriptors&, Failure&);
};

// Updates `fds` as it moves them, so that a failure can still be reported. The supervisor is told
// of the witness by the handshake socket (Witnessed).
std::optional<Applied> Confine(Kernel& kernel, const LaunchPlan& plan, ChildDescriptors& fds,
                               Failure& failure);

// Executes the program; returns only on failure.
Failure Execute(Kernel& kernel, const LaunchPlan& plan, const ChildDescriptors& fds, Applied proof);

// Writes `failure` to the handshake socket and ends the process.
[[noreturn]] void ReportAndExit(Kernel& kernel, int handshake, const Failure& failure);

}  // namespace bulkhead
