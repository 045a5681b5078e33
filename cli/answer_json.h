// SPDX-License-Identifier: Apache-2.0
// Answers to questions (compiler/ask.h) as `bulkhead why --format json` prints them. Pure.
#pragma once

#include <vector>

#include "cli/inputs.h"
#include "cli/json.h"
#include "compiler/ask.h"

namespace bulkhead {

// The lines of policy and groups behind the calls that the answer is about, each chain once.
std::vector<std::vector<Line>> LinesBehind(const Explanation& answer, const Opened& opened,
                                           const ProfileData& component);

Json AnswerJson(const Explanation& answer, const Opened& opened, const ProfileData& component);

}  // namespace bulkhead
