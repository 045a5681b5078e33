// SPDX-License-Identifier: Apache-2.0
// How policies are changed: half of the time as any bytes, half of the time by what the language's
// table knows.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/policy_maker.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  bulkhead::testing::PolicyMaker maker(seed);
  if (maker.OneIn(2)) return LLVMFuzzerMutate(data, size, max_size);
  std::string text =
      maker.OneIn(10) ? maker.Policy() : maker.Changed({reinterpret_cast<const char*>(data), size});
  text.resize(std::min(text.size(), max_size));
  std::copy(text.begin(), text.end(), data);
  return text.size();
}
