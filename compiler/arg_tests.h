// SPDX-License-Identifier: Apache-2.0
// Argument tests of the policy language as conditions on a register. Pure, thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/calls.h"
#include "policy/diagnostics.h"
#include "policy/policy.h"
#include "profiles/arch.h"

namespace bulkhead {

// How many conjunctions the tests of one call may come to. Several lists of alternatives multiply.
inline constexpr size_t kMaxConjunctions = 1024;

using ArgTests = std::vector<std::pair<std::string, ArgTest>>;

// The conjunctions of which one must hold so that all `tests` of `call` do: {{}} without tests.
// nullopt after an error. `call` must be a call of `arch`; `place` is where it is named.
std::optional<std::vector<Conjunction>> ConvertTests(Arch arch, std::string_view call,
                                                     const ArgTests& tests, const Place& place,
                                                     Diagnostics& diagnostics);

}  // namespace bulkhead
