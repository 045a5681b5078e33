// SPDX-License-Identifier: Apache-2.0
// Invariants of a policy: sentences that must hold over the whole compiled enclave, and for each
// that doesn't the shortest way by which it is broken. The sentences (docs/ANSWERS.md):
//
//   only NAMES may read|write|execute|reach asset NAME
//   NAMES must not reach NAMES | asset NAME       by what the kernel lets the component do itself
//   NAMES must not influence NAMES | asset NAME   also through others
//   no component [but NAMES] may ACTION OBJECT    as of `bulkhead why`; `use FAMILY` for sockets
//   every path from NAMES to NAMES | asset NAME passes NAMES
//
// NAMES is a component or [a, b]. What can't be decided counts as allowed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compiler/ask.h"
#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

struct InvariantStep {
  std::string who;
  std::string does;  // "connects to unix:/run/edges/a/s.sock"
  std::string to;    // a component or an asset; empty: nobody of the enclave
  std::string rule;  // the statement that allows it
};

struct InvariantResult {
  std::string text;  // the sentence
  Place place;
  std::vector<InvariantStep> path;  // empty: it holds
  bool holds() const { return path.empty(); }
};

// In the order of the policy. Sentences that can't be read, or name what isn't there, are errors
// E0701 and E0702 and have no result. Errors: a filter can't be read back.
tl::expected<std::vector<InvariantResult>, std::string> CheckInvariants(
    Evaluator& evaluator, std::span<const Text> invariants, Diagnostics& diagnostics);

// "tools connects to unix:/a/s (statement), then signer reads /b (statement)"
std::string PathText(const std::vector<InvariantStep>& path);

}  // namespace bulkhead
