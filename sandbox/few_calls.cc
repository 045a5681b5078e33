// SPDX-License-Identifier: Apache-2.0
#include "sandbox/few_calls.h"

#include <cstdint>

#include "profiles/arch.h"

namespace bulkhead {

Filter AllowFewCalls(std::span<const long> calls) {
  Filter program{{kLoad, 0, 0, kOffsetArch},
                 {kJumpEqual, 1, 0, AuditArch(NativeArch())},
                 {kReturn, 0, 0, kRetKillProcess},
                 {kLoad, 0, 0, kOffsetNr}};
  auto left = static_cast<uint8_t>(calls.size());
  for (const long call : calls) {
    program.push_back({kJumpEqual, left--, 0, static_cast<uint32_t>(call)});
  }
  program.push_back({kReturn, 0, 0, kRetKillProcess});
  program.push_back({kReturn, 0, 0, kRetAllow});
  return program;
}

}  // namespace bulkhead
