// SPDX-License-Identifier: Apache-2.0
// The filters of plans as libseccomp makes them, to measure beside our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/calls.h"

namespace bulkhead::bench {

std::string LibseccompVersion();

struct Comparable {
  std::vector<Filter> filters;  // one a plan
  size_t rules = 0;
  size_t simplified = 0;  // made without a test that libseccomp can't be told
};

// Makes each filter and exports it as BPF. libseccomp can be told equalities of masked arguments,
// one an argument; any other test is dropped, so that it has less to do, never more. `optimize` is
// 1 for a list, 2 for a tree. Ends the process when libseccomp fails.
Comparable MakeByLibseccomp(const std::vector<CallPlan>& plans, uint32_t optimize);

}  // namespace bulkhead::bench
