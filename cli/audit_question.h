// SPDX-License-Identifier: Apache-2.0
// What a refusal on record asked for, as a question to its bundle (compiler/ask.h). Pure.
#pragma once

#include <optional>

#include "cli/audit_records.h"
#include "compiler/question.h"
#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// Number and registers of a call that the filter refused; nothing for another record, or a call
// without a name.
std::optional<SeccompData> CallOf(const AuditRecord& record, Arch arch);

// Nothing where the language has no such question: a signal to somebody, a limit, a life.
std::optional<Question> QuestionOf(const AuditRecord& record, Arch arch);

}  // namespace bulkhead
