// SPDX-License-Identifier: Apache-2.0
// The conditions of one call, tested one after the other: no longer than the conditions are,
// whatever they are. For those that make no good tree (arg_tree.h). Internal to the generator.
#pragma once

#include "compiler/calls.h"
#include "compiler/filter_writer.h"

namespace bulkhead {

// Writes the tests and gives the place where they start.
CodeEntry WriteArgChain(FilterWriter& writer, const CallRule& rule, const CodeEntry& allow,
                        const CodeEntry& refuse);

}  // namespace bulkhead
