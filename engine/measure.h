// SPDX-License-Identifier: Apache-2.0
// The bundle's digest into the platform's register, before any component starts. What is found is
// compared at every step with what was computed beforehand, and the first surprise is the end:
// nothing is tried twice, as nobody can tell how often a register was extended. The sequences:
//
// Nitro: describe (unlocked and zero) -> extend, compare -> lock -> describe (locked), compare.
//   Found locked with the very value: this bundle was measured in this boot, and the supervisor is
//   another one.
// TDX, TPM: read the register (on TDX also in a report of the guest's device, which must say the
//   same), replay the log to it -> extend by the bundle event, read back, compare, log -> the same
//   with the boundary event. Found with this bundle's events in the log: a
//   "restarted" event instead. A TPM's log starts with the value that was found.
//
// One supervisor at a time, of whatever enclave: what is read must not move before the end, so the
// caller holds LockMeasuring. May wait for the device.
#pragma once

#include <tl/expected.hpp>

#include <string>

#include "engine/device_door.h"
#include "engine/event_log.h"
#include "engine/fd.h"
#include "profiles/digest.h"
#include "profiles/measure.h"

namespace bulkhead {

struct Measured {
  std::string what;    // the register's name; empty: nothing is measured
  Digest value{};      // that it holds now
  bool again = false;  // it was measured before in this boot
};

// Held until it is closed; waits for another holder. The lock is that of the directory that every
// supervisor has its own in.
tl::expected<Fd, std::string> LockMeasuring();

// The error is for people: step, object and what was found.
tl::expected<Measured, std::string> MeasureBundle(DeviceDoor& door, const Measure& measure,
                                                  const Digest& bundle, const std::string& enclave);

// Something that happened later, into the events register, or where registers have a log into that
// of the policy; gives its value. Precondition on Nitro: measure.events.
tl::expected<Digest, std::string> MeasureEvent(DeviceDoor& door, const Measure& measure,
                                               const MeasuredEvent& event);
// The same, for who does not hold LockMeasuring.
tl::expected<Digest, std::string> MeasureLater(DeviceDoor& door, const Measure& measure,
                                               const MeasuredEvent& event);

}  // namespace bulkhead
