// SPDX-License-Identifier: Apache-2.0
// The ledger for people: which control keeps which statement, and what records a refusal. Pure.
#pragma once

#include <string>
#include <vector>

#include "profiles/bundle.h"

namespace bulkhead {

// One line a row, controls by the names of their layers.
std::string LedgerTable(const std::vector<LedgerRow>& ledger);
// Every control in full.
std::string LedgerInFull(const std::vector<LedgerRow>& ledger);
// Empty when nothing is waived.
std::string WaiverTable(const std::vector<Waiver>& waivers);

}  // namespace bulkhead
