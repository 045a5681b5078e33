// SPDX-License-Identifier: Apache-2.0
// Every command of `bulkhead`, its options and arguments, as one table. The parser, --help, the
// manual pages and the shell completions all read it; nothing else knows which commands exist.
// Constant data, thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace bulkhead {

enum class Parameter : uint8_t {
  // Arguments.
  kPolicy,
  kBundle,
  kInput,
  kOld,
  kNew,
  kComponent,
  kAction,
  kObject,
  kProgram,
  kLog,
  kSequence,
  kOciProfile,
  kDocument,
  kService,
  kServiceNeeded,
  // Options.
  kTarget,
  kSet,
  kDate,
  kAllowObserve,
  kOutput,
  kOnly,
  kInit,
  kFormat,
  kTestFormat,
  kCheckFormat,
  kTargetFormat,
  kKernelConfig,
  kImportTarget,
  kCapability,
  kImportExec,
  kFileOutput,
  kRefuse,
  kOciRefuse,
  kExecve,
  kWeights,
  kWeightsAll,
  kOldTarget,
  kAccept,
  kEnclave,
  kWatch,
  kLines,
  kFollow,
  kAuditKey,
  kRotated,
  kStream,
  kPartial,
  kClosed,
  kKind,
  kControl,
  kActionName,
  kRule,
  kSince,
  kTop,
  kRun,
  kLogBundle,
  kSigningKey,
  kRoot,
  kEventLog,
  kAsker,
  kBytes,
  kNonce,
  kValidAt,
  kRegisterIs,
  kRootTree,
  kCheckedTree,
  kImageInit,
  kModule,
  // Options of bulkhead-init.
  kInitOnly,
  // Options of observing and learning.
  kLearnOutput,
  kLearnName,
  kLearnUser,
  kLearnEnv,
  kLearnDirectory,
  kLearnListen,
  kLearnLog,
  kLearnPolicy,
  kLearnTarget,
};

struct ParameterRow {
  Parameter id;
  std::string_view option;   // "--output"; empty: an argument
  std::string_view letter;   // "-o", or empty
  std::string_view value;    // what stands for the value in usage lines; empty: takes none
  std::string_view choices;  // "text|json", the first is the default; empty: any value
  std::string_view help;
  bool required = false;
  bool repeated = false;

  bool IsSwitch() const { return value.empty(); }
};

enum class Command : uint8_t {
  kCheck,
  kCompile,
  kInspect,
  kWhy,
  kTest,
  kDiff,
  kRun,
  kExec,
  kProbe,
  kStatus,
  kStop,
  kRestart,
  kMeasure,
  kLogs,
  kImage,
  kDoctor,
  kSchema,
  kAuditVerify,
  kAuditSummary,
  kAuditTail,
  kAuditExplain,
  kSign,
  kAttestExpect,
  kAttestVerify,
  kImportOci,
  kExportBpf,
  kExportOci,
  kLearn,
};

struct CommandRow {
  Command id;
  std::string_view name;  // one word or two
  std::string_view summary;
  std::string_view details;  // paragraphs, divided by a line feed
  std::span<const Parameter> parameters;
  std::string_view example;  // lines
};

struct ExitRow {
  int code;
  std::string_view meaning;
};

std::span<const CommandRow> Commands();
const ParameterRow& Row(Parameter parameter);
std::span<const ExitRow> ExitCodes();

// bulkhead-init is another program, with a manual page of the same making.
const CommandRow& InitRow();
std::span<const ExitRow> InitExitCodes();

}  // namespace bulkhead
