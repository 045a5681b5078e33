// SPDX-License-Identifier: Apache-2.0
// What a record means that tells of the log itself, of a loss, or of a component's life: for these
// no control of a policy has answered, and no bundle says more. Pure, thread-safe.
#pragma once

#include <string_view>

#include "cli/audit_records.h"

namespace bulkhead {

// A sentence without its full stop; empty for any other record.
std::string_view MeaningOf(const AuditRecord& record);

}  // namespace bulkhead
