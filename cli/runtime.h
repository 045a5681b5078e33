// SPDX-License-Identifier: Apache-2.0
// Finding programs, and becoming bulkhead-init. Reads the environment: one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

// `name` as it is when it has a slash, made absolute; otherwise the first executable file of that
// name in `search`, a list like PATH whose relative parts are ignored.
std::optional<std::string> FindProgram(const std::string& name, std::string_view search);

// Where bulkhead-init is: `given` if not empty, beside this program, or in PATH.
std::optional<std::string> FindInit(const std::string& given);

// A program that people don't run themselves: beside this one, in its libexec directory, or in
// PATH.
std::optional<std::string> FindSuite(const std::string& name);

// Returns an exit code only when the program can't be run, with the reason printed.
int BecomeInit(const std::string& given, const std::vector<std::string>& arguments);

}  // namespace bulkhead
