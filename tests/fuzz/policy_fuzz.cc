// SPDX-License-Identifier: Apache-2.0
// Any bytes as a policy. Start with tests/policy/broken and tests/policy/data as the corpus.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/policy_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bulkhead::testing::TryPolicyInput({reinterpret_cast<const char*>(data), size});
  return 0;
}
