// SPDX-License-Identifier: Apache-2.0
// The system call of a record, out of its registers, with its arguments by name. Which bits the
// supervisor saw is all that a record holds; what they are called is this reader's knowledge. Pure,
// thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/audit_records.h"
#include "compiler/argument_text.h"
#include "profiles/arch.h"

namespace bulkhead {

struct RecordedCall {
  Registers registers{};
  KnownRegisters known;  // of an observed call only options are recorded
  std::string object;    // what the record names beside them: a path, an address; empty if nothing
};

// Nothing for a record that is not of a call that the architectures have, or that holds no
// registers (several calls in one record).
std::optional<RecordedCall> RecordedCallOf(const AuditRecord& record);

// Its arguments but pointers, as of compiler/argument_text.h; empty for a record without a call.
NamedTexts RecordedArguments(const AuditRecord& record, std::optional<Arch> arch);

// What was tried, on what: `socket(domain=AF_VSOCK, type=SOCK_STREAM, protocol=0)`,
// `openat(dirfd=AT_FDCWD, flags=O_RDONLY, mode=0) /etc/shadow`; of any other record its action and
// its object. As the log has it: for a terminal it passes through Shown.
std::string TriedText(const AuditRecord& record, std::optional<Arch> arch);

// The same without the action: `domain=AF_VSOCK, type=SOCK_STREAM, protocol=0`.
std::string ObjectText(const AuditRecord& record, std::optional<Arch> arch);

}  // namespace bulkhead
