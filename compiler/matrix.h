// SPDX-License-Identifier: Apache-2.0
// One policy on several targets: for each statement what becomes of it on each. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/compile.h"

namespace bulkhead {

enum class MatrixAnswer : uint8_t {
  kEnforced,
  kSubstituted,
  kWaived,
  kRefused,
  kNothing,
  kNotJudged
};
std::string_view MatrixAnswerName(MatrixAnswer answer);

struct MatrixCell {
  // kNotJudged: something else is refused on this target, and is to be mended first. kNothing: the
  // statement has nothing to decide on this target, and leaves nothing open there.
  MatrixAnswer answer = MatrixAnswer::kNothing;
  LedgerRow row;  // of the first three
};

struct MatrixRow {
  std::string component;  // empty: of the enclave
  std::string statement;  // without the component
  std::vector<MatrixCell> cells;
};

struct MatrixRefusal {
  std::vector<size_t> targets;  // that refuse for this reason, by their place in `targets`
  Diagnostic diagnostic;        // of the first of them; its message says `the target`
};

struct Matrix {
  std::vector<std::string> targets;
  std::vector<MatrixRow> rows;  // the enclave's first, then by component and statement
  std::vector<MatrixRefusal> refusals;

  bool Holds(size_t target) const;  // all of the policy is enforced, substituted or waived there
};

// One survey a target, in their order.
Matrix MakeMatrix(std::vector<std::string> targets, const std::vector<Survey>& surveys);

}  // namespace bulkhead
