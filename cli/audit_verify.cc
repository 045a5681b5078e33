// SPDX-License-Identifier: Apache-2.0
// `bulkhead audit verify`.
#include "cli/audit_chain_report.h"
#include "cli/audit_records.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"

namespace bulkhead {

int VerifyLog(const Invocation& invocation) {
  const auto log = CheckLog(invocation);
  if (!log) return log.error();
  bool printed = true;
  if (invocation.One(Parameter::kFormat) == "json") {
    printed = PrintOut(AsciiJson(ChainJson(*log)));
  } else if (log->chain) {
    printed = PrintOut(ChainText(*log));
  } else {
    PrintError(BreakText(*log));
  }
  if (!printed) return kExitCannot;
  return log->chain ? kExitDone : kExitNo;
}

}  // namespace bulkhead
