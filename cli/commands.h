// SPDX-License-Identifier: Apache-2.0
// The commands: each takes a parsed command line, prints its answer and returns the exit code.
// RunProgram and RunEnclave return only when they fail: they become bulkhead-init. One thread.
#pragma once

#include "cli/command_line.h"

namespace bulkhead {

int Check(const Invocation& invocation);
int CompileToFile(const Invocation& invocation);
int Inspect(const Invocation& invocation);
int Explain(const Invocation& invocation);
int TestPolicyFile(const Invocation& invocation);
int Diff(const Invocation& invocation);
int RunEnclave(const Invocation& invocation);
int RunProgram(const Invocation& invocation);
int Probe(const Invocation& invocation);
int Learn(const Invocation& invocation);
int ShowStatus(const Invocation& invocation);
int StopRunning(const Invocation& invocation);
int RestartRunning(const Invocation& invocation);
int MeasureRunning(const Invocation& invocation);
int ShowLogs(const Invocation& invocation);
int MakeImage(const Invocation& invocation);
int Doctor(const Invocation& invocation);
int PrintSchema(const Invocation& invocation);
int VerifyLog(const Invocation& invocation);
int SummarizeLog(const Invocation& invocation);
int TailLog(const Invocation& invocation);
int ExplainRecord(const Invocation& invocation);
int SignBundle(const Invocation& invocation);
int ExpectAttestation(const Invocation& invocation);
int VerifyAttestation(const Invocation& invocation);
int ImportOciProfile(const Invocation& invocation);
int ExportToBpf(const Invocation& invocation);
int ExportToOci(const Invocation& invocation);

}  // namespace bulkhead
