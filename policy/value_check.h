// SPDX-License-Identifier: Apache-2.0
// One scalar against one row of the schema. Pure but for the diagnostics.
#pragma once

#include <string>

#include "policy/diagnostics.h"
#include "policy/node.h"
#include "policy/schema.h"

namespace bulkhead {

// False, with one error that says what was expected, when the value does not fit.
bool CheckScalar(const Node& node, const Row& row, Diagnostics& diagnostics);

// "`a`, `b` or `c`".
std::string ListChoices(const Row& row);

}  // namespace bulkhead
