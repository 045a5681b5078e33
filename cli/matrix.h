// SPDX-License-Identifier: Apache-2.0
// A policy on all shipped targets: what becomes of each statement where. One thread.
#pragma once

#include <string>

#include "cli/command_line.h"
#include "cli/inputs.h"
#include "compiler/matrix.h"

namespace bulkhead {

// For `--target all` of every command that has it: prints the matrix. The exit code is 1 where it
// would be 1 for any of the targets alone.
int ShowMatrix(const Invocation& invocation);

std::string MatrixText(const Matrix& matrix, const Sources& sources, bool color);
std::string MatrixJson(const Matrix& matrix, const Sources& sources);
// docs/TARGETS.md, of the policy that is named `name`.
std::string MatrixMarkdown(const Matrix& matrix, const Sources& sources, std::string_view name);

// Nothing, with the diagnostics in `result`, when the policy can't be read for any target.
std::optional<Matrix> SurveyAll(const std::string& path, const LoadOptions& options,
                                const CompileOptions& compile, PolicyResult& result);

}  // namespace bulkhead
