// SPDX-License-Identifier: Apache-2.0
// libFuzzer's entry for one target, which the build names. Its seeds are written by fuzz-seeds.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/check.h"
#include "tests/fuzz/seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const target = bulkhead::testing::FindFuzzTarget(BULKHEAD_FUZZ_TARGET);
  bulkhead::testing::Check(target != nullptr, "there is a target " BULKHEAD_FUZZ_TARGET);
  target->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
