// SPDX-License-Identifier: Apache-2.0
#include "profiles/ledger.h"

namespace bulkhead {

std::string_view LayerName(Layer layer) {
  switch (layer) {
    case Layer::kView:
      return "view";
    case Layer::kLandlock:
      return "landlock";
    case Layer::kSeccomp:
      return "seccomp";
    case Layer::kNamespace:
      return "namespace";
    case Layer::kOwnership:
      return "ownership";
    case Layer::kCapability:
      return "capability";
    case Layer::kRlimit:
      return "rlimit";
    case Layer::kCgroup:
      return "cgroup";
    case Layer::kDescriptor:
      return "descriptor";
    case Layer::kSupervisor:
      return "supervisor";
    case Layer::kBroker:
      return "broker";
  }
  return "unknown";
}

std::string_view StatusName(Status status) {
  switch (status) {
    case Status::kEnforced:
      return "enforced";
    case Status::kSubstituted:
      return "substituted";
    case Status::kWaived:
      return "waived";
  }
  return "unknown";
}

std::string_view RecorderName(Recorder recorder) {
  switch (recorder) {
    case Recorder::kNotification:
      return "notification";
    case Recorder::kLandlockRecord:
      return "landlock record";
    case Recorder::kTripwire:
      return "tripwire";
    case Recorder::kCounter:
      return "counter";
    case Recorder::kLifecycle:
      return "supervisor event";
    case Recorder::kBroker:
      return "broker event";
    case Recorder::kNone:
      return "none";
  }
  return "unknown";
}

}  // namespace bulkhead
