// SPDX-License-Identifier: Apache-2.0
// Any bytes as an OCI seccomp profile. Start with tests/compiler/oci as the corpus.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/oci_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bulkhead::testing::TryOciInput({reinterpret_cast<const char*>(data), size});
  return 0;
}
