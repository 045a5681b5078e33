// SPDX-License-Identifier: Apache-2.0
// What `bulkhead test` found, in the forms that people and machines read. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/places.h"

namespace bulkhead {

struct TestCase {
  std::string name;
  bool invariant = false;
  bool passed = false;
  std::string place;                 // in the policy
  std::vector<std::string> details;  // of a failure: what is so instead, and by which rule
};

struct TestReport {
  std::string enclave;
  std::string target;
  std::vector<TestCase> cases;
  size_t statements = 0;
  std::vector<Line> unexercised;  // statements that no test came to

  size_t Failures() const;
};

// `format`: text, tap (version 14), junit or json.
std::string ReportText(const TestReport& report, std::string_view format);

}  // namespace bulkhead
