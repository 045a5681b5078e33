// SPDX-License-Identifier: Apache-2.0
// How bundles are changed: half of the time as any bytes, half of the time field by field.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/bundle_changer.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  if (seed % 2 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const auto changed =
      bulkhead::testing::ChangedBundle({reinterpret_cast<const char*>(data), size}, seed);
  if (!changed || changed->size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::copy(changed->begin(), changed->end(), data);
  return changed->size();
}
