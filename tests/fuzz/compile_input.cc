// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/compile_input.h"

#include <optional>
#include <string>

#include "compiler/compile.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/policy_input.h"

namespace bulkhead::testing {
namespace {

constexpr const char* kDate = "2026-01-01";

void CheckPlaces(const Diagnostics& diagnostics, const Sources& sources) {
  for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
    Check(diagnostic.place.file < sources.size() && diagnostic.place.line > 0,
          "a mistake has a place: " + diagnostic.message);
    Check(diagnostic.code != "E0599" && diagnostic.code != "E0544",
          "the compiler contradicts itself: " + diagnostic.message + ": " + diagnostic.help);
    Check(!RenderText(diagnostic, sources, false).empty(), "a mistake has a text");
  }
}

void CheckBundle(const Compilation& compilation, const Sources& sources) {
  const std::vector<uint8_t> bytes = EncodeBundle(compilation.bundle);
  Check(bytes.size() <= kMaxBundleSize, "what is compiled is not larger than what is loaded");
  const auto decoded = DecodeBundle(bytes);
  Check(decoded.has_value(), "what is compiled is loaded: " + (decoded ? "" : decoded.error()));
  Check(**decoded == *compilation.bundle, "decoding after encoding is identity");
  Check(EncodeBundle(*decoded) == bytes, "encoding after decoding is identity");
  for (const LedgerRow& row : compilation.bundle->ledger) {
    Check(!row.statement.empty() && (!row.controls.empty() || row.status == Status::kWaived),
          "no row of the ledger is empty");
    Check(row.recorder != Recorder::kNone || !row.note.empty(),
          "what is not recorded has a reason: " + row.component + " " + row.statement);
  }
  for (const MapRow& row : compilation.map) {
    Check(row.place.file < sources.size() && row.place.line > 0, "the map has places: " + row.id);
  }
  Check(RenderMap(compilation, sources, BundleDigest(bytes)).starts_with("sha384:"),
        "the map has a text");
}

}  // namespace

bool TryCompileInput(std::string_view input) {
  Sources sources;
  Diagnostics diagnostics;
  const auto loaded = TryPolicyInput(input, sources, diagnostics);
  if (!loaded) return false;
  const auto compilation = Compile(*loaded, {kDate}, diagnostics);
  Check(compilation.has_value() != diagnostics.HasErrors(), "either a bundle or mistakes");
  CheckPlaces(diagnostics, sources);
  if (!compilation) return false;
  CheckBundle(*compilation, sources);
  return true;
}

}  // namespace bulkhead::testing
