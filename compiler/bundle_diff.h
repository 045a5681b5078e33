// SPDX-License-Identifier: Apache-2.0
// What a component may do in one bundle and not in another. System calls are compared exactly, as
// sets of all arguments, so that filters which answer the same are the same whatever their bytes.
// Everything else is asked of the evaluator (compiler/ask.h), about every path, port, peer and
// asset that either bundle speaks of and about one that none does: between these an answer does not
// change. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "compiler/ask.h"

namespace bulkhead {

// From the worst for who reviews.
enum class Change : uint8_t { kWidened, kNarrowed, kNeutral };
std::string_view ChangeName(Change change);

struct Difference {
  Change change = Change::kNeutral;
  std::string component;  // empty: of the enclave itself
  // "files", "network", "syscalls", "peers", "assets", "limits", "attestation", "component",
  // "ledger"; of the enclave "assets", "audit", "measure", "output"
  std::string area;
  // What changed its answer, as words of `why`. "/srv/data/elsewhere" is any name beneath /srv/data
  // that neither bundle has.
  std::string witness;
  std::string old_rule;  // the statements behind both answers; can be empty
  std::string new_rule;
  std::string text;      // for people: "deny, now allow"
  bool beneath = false;  // so did all that is beneath the path and not named
};

// Sorted by component, area and witness. Errors: a filter can't be read back; the bundles are for
// different architectures.
tl::expected<std::vector<Difference>, std::string> DiffBundles(const Bundle& before,
                                                               const Bundle& after);

}  // namespace bulkhead
