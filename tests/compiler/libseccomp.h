// SPDX-License-Identifier: Apache-2.0
// Filters as libseccomp writes them, and an evaluator of its programs that is independent of
// profiles/filter.cc. For the native architecture.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "profiles/filter.h"

namespace bulkhead::testing {

enum class Compare : uint8_t { kNe, kLt, kLe, kEq, kGe, kGt, kMaskedEq };

struct Comparison {
  unsigned arg = 0;
  Compare op = Compare::kEq;
  uint64_t value = 0;  // of kMaskedEq the mask
  uint64_t value_two = 0;
};

struct SeccompRule {
  uint32_t nr = 0;
  uint32_t action = 0;  // SECCOMP_RET_*
  std::vector<Comparison> comparisons;
};

using Program = std::vector<sock_filter>;

// Fails the test when libseccomp refuses a rule.
Program ByLibseccomp(uint32_t default_action, const std::vector<SeccompRule>& rules,
                     uint32_t optimize = 1);

uint32_t Run(const Program& program, const SeccompData& data);

}  // namespace bulkhead::testing
