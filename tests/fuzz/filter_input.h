// SPDX-License-Identifier: Apache-2.0
// What must hold for any instructions at all that are run as a filter. Shared by the fuzz target
// and the test that replays its corpus.
#pragma once

#include <string>
#include <string_view>

#include "profiles/filter.h"

namespace bulkhead::testing {

// Aborts when something does not hold. True: a filter without a defect, which answered as the plain
// interpreter does.
bool TryFilterInput(std::string_view input);

// The input that is this filter and this call.
std::string FilterInput(const Filter& filter, const SeccompData& data);

}  // namespace bulkhead::testing
