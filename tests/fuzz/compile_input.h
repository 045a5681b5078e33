// SPDX-License-Identifier: Apache-2.0
// What must hold for any text at all on its way from policy to bundle and back. Shared by the fuzz
// target and the test that replays its corpus.
#pragma once

#include <string_view>

namespace bulkhead::testing {

// Aborts when something does not hold. True: it was compiled.
bool TryCompileInput(std::string_view input);

}  // namespace bulkhead::testing
