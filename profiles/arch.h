// SPDX-License-Identifier: Apache-2.0
// The processor architectures a profile can be compiled for. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace bulkhead {

enum class Arch : uint8_t { kX86_64 = 1, kAarch64 = 2 };

// "x86_64", "aarch64".
std::string_view ArchName(Arch arch);
std::optional<Arch> ParseArch(std::string_view name);

// The AUDIT_ARCH_* value in seccomp_data.arch (linux/audit.h).
uint32_t AuditArch(Arch arch);

// The architecture this program was built for.
Arch NativeArch();

}  // namespace bulkhead
