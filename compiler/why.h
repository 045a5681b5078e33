// SPDX-License-Identifier: Apache-2.0
// One question in words about one component of a bundle (compiler/ask.h). Pure, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "compiler/ask.h"

namespace bulkhead {

// The error is a usage error for people.
tl::expected<Explanation, std::string> Why(const Bundle& bundle, std::string_view component,
                                           std::string_view action,
                                           const std::vector<std::string>& object);

}  // namespace bulkhead
