// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <cstdio>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/console.h"

namespace bulkhead {
namespace {

int Dispatch(const Invocation& invocation) {
  switch (invocation.command) {
    case Command::kCheck:
      return Check(invocation);
    case Command::kCompile:
      return CompileToFile(invocation);
    case Command::kInspect:
      return Inspect(invocation);
    case Command::kWhy:
      return Explain(invocation);
    case Command::kTest:
      return TestPolicyFile(invocation);
    case Command::kDiff:
      return Diff(invocation);
    case Command::kRun:
      return RunEnclave(invocation);
    case Command::kExec:
      return RunProgram(invocation);
    case Command::kProbe:
      return Probe(invocation);
    case Command::kLearn:
      return Learn(invocation);
    case Command::kStatus:
      return ShowStatus(invocation);
    case Command::kStop:
      return StopRunning(invocation);
    case Command::kRestart:
      return RestartRunning(invocation);
    case Command::kMeasure:
      return MeasureRunning(invocation);
    case Command::kLogs:
      return ShowLogs(invocation);
    case Command::kImage:
      return MakeImage(invocation);
    case Command::kDoctor:
      return Doctor(invocation);
    case Command::kSchema:
      return PrintSchema(invocation);
    case Command::kAuditVerify:
      return VerifyLog(invocation);
    case Command::kAuditSummary:
      return SummarizeLog(invocation);
    case Command::kAuditTail:
      return TailLog(invocation);
    case Command::kAuditExplain:
      return ExplainRecord(invocation);
    case Command::kSign:
      return SignBundle(invocation);
    case Command::kAttestExpect:
      return ExpectAttestation(invocation);
    case Command::kAttestVerify:
      return VerifyAttestation(invocation);
    case Command::kImportOci:
      return ImportOciProfile(invocation);
    case Command::kExportBpf:
      return ExportToBpf(invocation);
    case Command::kExportOci:
      return ExportToOci(invocation);
  }
  return kExitDefect;
}

int Tell(const Answer& answer) {
  if (answer.exit == kExitDone) return PrintOut(answer.text) ? kExitDone : kExitCannot;
  PrintRaw(answer.text);
  return answer.exit;
}

int Run(int argc, const char* const* argv) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const auto parsed = ParseCommandLine(arguments);
  if (const auto* answer = std::get_if<Answer>(&parsed)) return Tell(*answer);
  return Dispatch(std::get<Invocation>(parsed));
}

}  // namespace

int RunCli(int argc, const char* const* argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bulkhead: a bug in bulkhead: %s\n", error.what());
    return kExitDefect;
  }
}

}  // namespace bulkhead
