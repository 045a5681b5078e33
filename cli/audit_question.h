// SPDX-License-Identifier: Apache-2.0
// What a refusal on record asked for, as a question to its bundle (compiler/ask.h). Pure.
#pragma once

#include <optional>

#include "cli/audit_records.h"
#include "compiler/ask.h"
#include "compiler/question.h"
#include "profiles/arch.h"
#include "profiles/filter.h"

namespace bulkhead {

// Number and registers of a call that the filter refused; nothing for another record, or a call
// without a name.
std::optional<SeccompData> CallOf(const AuditRecord& record, Arch arch);

// The question that the refusal answered; nothing where the language has no such question: a signal
// to somebody, a limit, a life.
std::optional<Question> QuestionOf(const AuditRecord& record, Arch arch);

// The statement of the policy that a record is about. A record is written by who sees a part of it
// alone: the filter's supervisor no path, Landlock no asset.
struct RecordStatement {
  std::string rule;  // that of the record, or what the bundle's answer makes more exact
  std::string note;  // why the record names another, or the answer is another; else empty
};
// `answer`: of the bundle on the record's question, null where there is none.
RecordStatement StatementOf(const AuditRecord& record, const Explanation* answer);

}  // namespace bulkhead
