// SPDX-License-Identifier: Apache-2.0
// The `tests` of a policy: questions with their expected answers.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "compiler/ask.h"
#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

struct PolicyTest {  // of a policy, read; views into the policy and the bundle
  const TestPolicy* written = nullptr;
  const ProfileData* component = nullptr;
  Question question;
  std::string name;  // "web read /etc/shadow: deny"
};

// Those that make no sense are errors E0704.
std::vector<PolicyTest> ReadTests(const Bundle& bundle, std::span<const TestPolicy> tests,
                                  Diagnostics& diagnostics);

struct PolicyTestResult {
  const PolicyTest* test = nullptr;
  Explanation answer;
  bool passed = false;  // undecided passes no test
};

// Errors: a question can't be answered, or a filter can't be read back.
tl::expected<std::vector<PolicyTestResult>, std::string> RunTests(
    Evaluator& evaluator, std::span<const PolicyTest> tests);

}  // namespace bulkhead
