// SPDX-License-Identifier: Apache-2.0
// The one entry point of compiler/: a Policy for a target becomes a Bundle, its ledger and its map.
// Pure: same input, same output, on any machine. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/call_mix.h"
#include "policy/diagnostics.h"
#include "policy/load.h"
#include "profiles/bundle.h"

namespace bulkhead {

struct MapRow {  // BUNDLE.map: from where in the policy a statement comes
  std::string id;
  Place place;
};

struct Compilation {
  Bundle bundle;
  std::vector<MapRow> map;  // sorted by id
};

struct CompileOptions {
  std::string date;  // YYYY-MM-DD: waivers older than this are errors, never other bytes
  // What shapes the filters, never their answers: nothing for the built-in mix of calls, and for
  // the weighing that the target's kernel asks for.
  std::optional<CallMix> mix = {};
  std::optional<Weighing> weighing = {};
  bool invariants = true;  // a broken one is an error
  // `on-violation: observe`, which lets pass what the policy refuses, is no error.
  bool allow_observe = false;
};

// nullopt exactly when `diagnostics` has errors: a statement that the target can't enforce is one,
// with the choices in its help.
std::optional<Compilation> Compile(const LoadedPolicy& loaded, const CompileOptions& options,
                                   Diagnostics& diagnostics);

// What a target makes of a policy, whether or not it can enforce all of it.
struct Survey {
  std::vector<LedgerRow> ledger;     // of what is enforced, by component and statement
  std::vector<Diagnostic> mistakes;  // errors: what is not, and what is wrong on any target
};
Survey SurveyTarget(const LoadedPolicy& loaded, const CompileOptions& options);

// "sha384:<bundle digest>\n" then "id\tfile:line:col\n" sorted.
std::string RenderMap(const Compilation& compilation, const Sources& sources,
                      const Digest& bundle_digest);

}  // namespace bulkhead
