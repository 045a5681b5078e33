// SPDX-License-Identifier: Apache-2.0
// System calls as text: rules as the policy language writes them, and one call for a reader. Pure,
// thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "compiler/calls.h"
#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

struct CallLists {
  std::string yaml;       // `allow:` and `deny:` with their items, empty when there are none
  size_t most_items = 0;  // of one list
};

// The value of `syscalls`, each line indented by `indent`: sorted by name, calls that not every
// architecture has under `on`. Conditions must be of their argument's width, and masked ones only
// be negated where the mask is whole.
CallLists CallsText(const std::vector<CallRule>& rules, Arch arch, size_t indent);

// Such as `ioctl(request=TIOCGWINSZ)`: arguments that are 0 are left out, but where `beside`, the
// same call, has another value.
std::string CallText(Arch arch, const SeccompData& data, const SeccompData* beside = nullptr);

}  // namespace bulkhead
