// SPDX-License-Identifier: Apache-2.0
// What `bulkhead audit` says of a log's chain: read by the options of the command line, as text and
// as JSON. One thread.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "cli/command_line.h"
#include "cli/json.h"
#include "engine/audit_verify.h"

namespace bulkhead {

using ChainAnswer = tl::expected<ChainSummary, ChainBreak>;

struct CheckedLog {
  std::vector<std::string> files;  // the oldest first
  bool key_given = false;
  bool stream = false;  // it may be what a stream's receiver wrote
  ChainAnswer chain;
};

// The log of the command line with the files that `--rotated` names before it, judged by the keys
// of
// `--key`. An exit code where a file or a key can't be read; the reason is printed.
tl::expected<CheckedLog, int> CheckLog(const Invocation& invocation);

Json ChainJson(const CheckedLog& log);
std::string ChainText(const CheckedLog& log);  // of a chain that is whole
std::string BreakText(const CheckedLog& log);  // of one that is not

}  // namespace bulkhead
