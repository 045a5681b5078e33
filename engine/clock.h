// SPDX-License-Identifier: Apache-2.0
// The supervisor's clock: time since boot, sleep included. Thread-safe.
#pragma once

#include <cstdint>
#include <ctime>

namespace bulkhead {

inline uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t NowMs() { return NowNs() / 1000000; }

}  // namespace bulkhead
