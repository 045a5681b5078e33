// SPDX-License-Identifier: Apache-2.0
// What must hold for any text at all that is imported as an OCI profile. Shared by the fuzz target
// and the test that replays its corpus.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "compiler/compile.h"
#include "compiler/oci_import.h"

namespace bulkhead::testing {

// Aborts when something does not hold. True: it was imported.
inline bool TryOciInput(std::string_view input) {
  ImportOptions options;
  options.target = "linux-6.18";
  Sources sources;
  Diagnostics diagnostics;
  const auto imported = ImportOci("input.json", std::string(input), options, sources, diagnostics);
  if (imported.has_value() == diagnostics.HasErrors()) std::abort();
  for (const Diagnostic& diagnostic : diagnostics.Sorted()) {
    if (diagnostic.place.file >= sources.size() || diagnostic.place.line == 0) std::abort();
    if (diagnostic.code == "E0612") std::abort();  // a contradiction
    for (const char c : RenderText(diagnostic, sources, false)) {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') std::abort();
    }
  }
  if (!imported) return false;
  for (const Loss& loss : imported->losses) {
    if (loss.what.empty() || loss.why.empty() || loss.place.file != 0) std::abort();
  }
  Diagnostics none;
  const auto loaded = LoadPolicyText("p.yaml", imported->policy, "/", {}, sources, none);
  if (!loaded || !Compile(*loaded, {"2026-01-01"}, none)) std::abort();
  return true;
}

}  // namespace bulkhead::testing
