// SPDX-License-Identifier: Apache-2.0
// The supervisor's clock: time since boot, sleep included. Thread-safe.
#pragma once

#include <cstdint>
#include <ctime>

namespace bulkhead {

inline uint64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

}  // namespace bulkhead
