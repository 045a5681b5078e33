// SPDX-License-Identifier: Apache-2.0
// The ledger: for every statement of the policy, which controls enforce it and what records its
// refusal. Written by the compiler, carried in the bundle, read by every report.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

enum class Layer : uint8_t {
  kView,  // mount namespace built from the rules
  kLandlock,
  kSeccomp,
  kNamespace,   // PID, IPC, UTS or network namespace
  kOwnership,   // uid, gid, modes
  kCapability,  // empty capability sets
  kRlimit,
  kCgroup,
  kDescriptor,  // a descriptor the supervisor opens and hands over
  kSupervisor,  // the supervisor's own behaviour
  kBroker,      // the supervisor's process that makes a call for the component (profiles/broker.h)
};
std::string_view LayerName(Layer layer);

enum class Status : uint8_t { kEnforced, kSubstituted, kWaived };
std::string_view StatusName(Status status);

enum class Recorder : uint8_t {
  kNotification,    // seccomp user notification
  kLandlockRecord,  // kernel audit record of a Landlock denial
  kTripwire,        // fanotify permission event on a tripwire
  kCounter,         // a kernel counter read by the supervisor
  kLifecycle,       // the supervisor's own event, of kind lifecycle or measure
  kBroker,          // the broker's own event
  kNone,            // with the reason
};
std::string_view RecorderName(Recorder recorder);

struct Control {
  Layer layer = Layer::kView;
  std::string text;  // "read-only bind mount without device nodes"
  bool operator==(const Control&) const = default;
};

struct LedgerRow {
  std::string component;  // empty for the enclave
  std::string statement;  // stable rule id, "components.tools.files.read"
  std::vector<Control> controls;
  Status status = Status::kEnforced;
  Recorder recorder = Recorder::kNone;
  std::string note;  // the reason, for substituted, waived and none; what stays open
  bool operator==(const LedgerRow&) const = default;
};

}  // namespace bulkhead
