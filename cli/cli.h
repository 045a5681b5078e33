// SPDX-License-Identifier: Apache-2.0
// The `bulkhead` command as a function. One call a process, one thread; never throws.
#pragma once

#include <string_view>

namespace bulkhead {

inline constexpr std::string_view kVersion = "0.1.0";

// Exit codes of every command; documented in bulkhead(1).
inline constexpr int kExitDone = 0;
inline constexpr int kExitNo = 1;          // the answer is no: mistakes in a policy, denied
inline constexpr int kExitWrongUsage = 2;  // of the command line
inline constexpr int kExitCannot = 3;      // the environment can't: kernel, file, bad bundle
inline constexpr int kExitDefect = 70;     // a bug in bulkhead

int RunCli(int argc, const char* const* argv);

}  // namespace bulkhead
