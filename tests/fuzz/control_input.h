// SPDX-License-Identifier: Apache-2.0
// What must hold for anything that a client writes to the control socket. Shared by the fuzz target
// and the test that replays its seeds.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/control_protocol.h"

namespace bulkhead::testing {

// Aborts when something does not hold. True: it was a request.
inline bool TryControlInput(std::string_view input) {
  const auto request = ParseControlRequest(input);
  for (const std::string& answer :
       {ControlError(request ? std::string_view("none") : std::string_view(request.error())),
        ControlLine().Text("line", input).Finish()}) {
    if (!answer.starts_with("{\"") || !answer.ends_with("}\n")) std::abort();
    for (const char c : std::string_view(answer).substr(0, answer.size() - 1)) {
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
  }
  if (!request) return false;
  if (request->lines > kMaxControlLines || request->component.size() > 32) std::abort();
  const auto again = ParseControlRequest(ControlRequestText(*request));
  if (!again || !(*again == *request)) std::abort();
  return true;
}

}  // namespace bulkhead::testing
