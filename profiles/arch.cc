// SPDX-License-Identifier: Apache-2.0
#include "profiles/arch.h"

namespace bulkhead {

std::string_view ArchName(Arch arch) {
  switch (arch) {
    case Arch::kX86_64:
      return "x86_64";
    case Arch::kAarch64:
      return "aarch64";
  }
  return "unknown";
}

std::optional<Arch> ParseArch(std::string_view name) {
  for (Arch arch : {Arch::kX86_64, Arch::kAarch64}) {
    if (ArchName(arch) == name) return arch;
  }
  return std::nullopt;
}

uint32_t AuditArch(Arch arch) {
  // EM_X86_64 and EM_AARCH64, each with __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE.
  return arch == Arch::kX86_64 ? 0xC000003EU : 0xC00000B7U;
}

Arch NativeArch() {
#if defined(__x86_64__)
  return Arch::kX86_64;
#elif defined(__aarch64__)
  return Arch::kAarch64;
#else
#error "bulkhead runs on x86_64 and aarch64"
#endif
}

}  // namespace bulkhead
