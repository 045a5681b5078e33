// SPDX-License-Identifier: Apache-2.0
// What a fuzz target claims: when it does not hold the process ends, saying what, so that libFuzzer
// and Boost.Test both take the input for a failure. Thread-safe.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace bulkhead::testing {

inline void Check(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what.c_str());
  std::abort();
}

}  // namespace bulkhead::testing
