// SPDX-License-Identifier: Apache-2.0
// What a filter allows, read back from the program itself, exactly: for each system call the set of
// arguments with which it passes. Behind the export of a filter to other formats and the check of
// an import. Shares no code with the generator. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tl/expected.hpp>

#include "compiler/call_sets.h"
#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// By number, the arguments that pass, never empty. The sets are those of `sets`, about arguments
// and instruction pointer alone. Errors: the filter has a defect, allows a call of another
// architecture, allows more numbers than there are calls, logs what it allows, or takes more steps
// or nodes than it may.
tl::expected<std::map<uint32_t, CallSets::Set>, std::string> AllowedCalls(const Filter& filter,
                                                                          Arch arch,
                                                                          CallSets& sets);

}  // namespace bulkhead
