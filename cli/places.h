// SPDX-License-Identifier: Apache-2.0
// Where in the policy's files a statement stands, by BUNDLE.map. Pure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// From statement ids to "file:line:column".
using Places = std::map<std::string, std::string, std::less<>>;

// A statement without a place of its own, such as one that the compiler implies, has that of the
// nearest statement above it. Empty: none has one.
std::string PlaceOf(const Places& places, std::string_view rule);

struct Line {
  std::string rule;
  std::string place;
};

// The entries by which a component names a system call with these arguments, from its own list down
// through groups: shortest way first, nothing where no entry does. `list` is "allow" or "deny".
std::vector<Line> LinesOfCall(const Places& places, std::string_view component,
                              std::string_view list, const SeccompData& call, Arch arch);

}  // namespace bulkhead
