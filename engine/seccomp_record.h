// SPDX-License-Identifier: Apache-2.0
// The kernel's audit record of a process that its seccomp filter killed, as text: type 1326, made
// by audit_seccomp (kernel/auditsc.c) while audit is on. Who was killed is told by uid, which is a
// component's own. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace bulkhead {

inline constexpr uint16_t kSeccompRecord = 1326;

struct SeccompKill {
  int32_t pid = 0;  // in the initial PID namespace
  uint32_t uid = 0;
  uint32_t signal = 0;  // 0: not a kill (RET_LOG, RET_ERRNO with logging)
  uint32_t arch = 0;    // AUDIT_ARCH_*
  uint32_t nr = 0;      // in that architecture's numbers
  bool operator==(const SeccompKill&) const = default;
};

// Nothing for a text that is not of that form.
std::optional<SeccompKill> ParseSeccompRecord(std::string_view text);

}  // namespace bulkhead
