// SPDX-License-Identifier: Apache-2.0
// The document about shipped profiles, groups of calls and targets, made from the shipped files'
// own comments and `about` lines, so that it can't say anything else. Pure.
#pragma once

#include <string>

namespace bulkhead {

std::string RenderShippedMarkdown();

}  // namespace bulkhead
