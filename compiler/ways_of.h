// SPDX-License-Identifier: Apache-2.0
// Which of the known ways round (compiler/closure.h) something that was refused is a step of. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "compiler/closure.h"
#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// Those that are closed by refusing calls of a form that this call has.
std::vector<const WayRound*> WaysOfCall(Arch arch, const SeccompData& call);

// Those about the intent behind a right of Landlock ("fs.execute", "net.connect_tcp", "ptrace")
// that Landlock closes; all about the intent where there is none.
std::vector<const WayRound*> WaysOfRight(std::string_view right);

}  // namespace bulkhead
