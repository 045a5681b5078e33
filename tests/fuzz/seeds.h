// SPDX-License-Identifier: Apache-2.0
// What each fuzz target starts from: inputs of other tests, what follows from them, and the files
// of tests/fuzz/corpus/<target>, which once were findings. Reads the source folder; not
// thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::testing {

struct FuzzTarget {
  std::string_view name;                // of the program fuzz-<name> and of the corpus
  bool (*run)(std::string_view input);  // aborts on a finding; true: it went all the way
  std::vector<std::string> (*seeds)();
  std::string (*dictionary)();  // null: none
};

std::span<const FuzzTarget> FuzzTargets();

// Null: no such target.
const FuzzTarget* FindFuzzTarget(std::string_view name);

// The files of tests/fuzz/corpus/<target>.
std::vector<std::string> FindingsOf(std::string_view target);

}  // namespace bulkhead::testing
