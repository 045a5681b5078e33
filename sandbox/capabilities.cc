// SPDX-License-Identifier: Apache-2.0
#include "sandbox/capabilities.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include <cerrno>

namespace bulkhead {

std::vector<int> BoundingCapabilities() {
  std::vector<int> held;
  // The kernel answers EINVAL past its last capability.
  for (int cap = 0; cap < 64; ++cap) {
    const int value = cap_get_bound(cap);
    if (value < 0) break;
    if (value == 1) held.push_back(cap);
  }
  return held;
}

int KnownCapabilities() {
  int count = 0;
  while (count < 64 && cap_get_bound(count) >= 0) ++count;
  return count;
}

int EmptyBoundingSet() {
  for (const int capability : BoundingCapabilities()) {
    if (cap_drop_bound(capability) != 0) return errno;
  }
  return 0;
}

bool HoldsCapability(int capability) {
  cap_t caps = cap_get_proc();
  if (caps == nullptr) return false;
  cap_flag_value_t value = CAP_CLEAR;
  const int result = cap_get_flag(caps, capability, CAP_EFFECTIVE, &value);
  cap_free(caps);
  return result == 0 && value == CAP_SET;
}

std::string CapabilityName(int capability) {
  char* name = cap_to_name(capability);
  if (name == nullptr) return "cap_" + std::to_string(capability);
  std::string text = name;
  cap_free(name);
  return text;
}

}  // namespace bulkhead
