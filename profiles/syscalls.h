// SPDX-License-Identifier: Apache-2.0
// The kernel's system calls: numbers and argument types for each architecture, from one table
// (profiles/syscall_table.inc, which names its sources). Constant data, no allocation, thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "profiles/arch.h"

namespace bulkhead {

// The newest kernel release whose calls the table has.
inline constexpr std::string_view kNewestKernel = "7.2";

// How much of an argument's register the kernel reads, and its sign. Only a pointer's register is
// seen by a filter, never what it points to.
enum class ArgType : uint8_t { kI32, kU32, kI64, kU64, kU16, kPointer };

// 16, 32 or 64.
unsigned ArgBits(ArgType type);
bool ArgIsSigned(ArgType type);

struct ArgInfo {
  std::string_view name;  // "request"
  ArgType type = ArgType::kU64;
};

inline constexpr size_t kMaxSyscallArgs = 6;

// The arguments in register order, index 0 is seccomp_data.args[0].
class SyscallArgList {
 public:
  constexpr const ArgInfo* begin() const { return args_.data(); }
  constexpr const ArgInfo* end() const { return args_.data() + size_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr const ArgInfo& operator[](size_t index) const { return args_[index]; }

  // False when the call has six arguments already.
  constexpr bool Append(const ArgInfo& arg) {
    if (size_ == kMaxSyscallArgs) {
      return false;
    }
    args_[size_++] = arg;
    return true;
  }

  // The register that holds the argument of this name.
  constexpr std::optional<unsigned> Find(std::string_view name) const {
    for (unsigned i = 0; i < size_; ++i) {
      if (args_[i].name == name) {
        return i;
      }
    }
    return std::nullopt;
  }

 private:
  std::array<ArgInfo, kMaxSyscallArgs> args_{};
  unsigned size_ = 0;
};

struct SyscallRow {
  std::string_view name;
  int32_t x86_64 = -1;  // -1: not on this architecture
  int32_t aarch64 = -1;
  std::string_view x86_64_args;  // "fd:u32 request:u32 arg:u64"
  std::string_view aarch64_args;

  // nullopt: not on this architecture.
  constexpr std::optional<uint32_t> Number(Arch arch) const {
    const int32_t number = arch == Arch::kX86_64 ? x86_64 : aarch64;
    return number < 0 ? std::nullopt : std::optional<uint32_t>(static_cast<uint32_t>(number));
  }
};

// All calls of all architectures, sorted by name.
std::span<const SyscallRow> AllSyscalls();

// nullopt: no such name, or not on this architecture.
std::optional<uint32_t> SyscallNumber(Arch arch, std::string_view name);

// Empty: no call has this number.
std::string_view SyscallName(Arch arch, uint32_t number);

// Known on any architecture.
bool IsSyscallName(std::string_view name);

// Whether kernels from this release on let the call pass by every filter. Such a call does nothing
// but in trampolines that the kernel maps itself where root has set a probe: made elsewhere it ends
// in SIGILL (uretprobe) or ENXIO (uprobe). Sources: kernel/seccomp.c (seccomp_uprobe_exception, the
// first of 6.14 and of the stable releases that had the call), arch/x86/kernel/uprobes.c.
bool PassesByFilters(Arch arch, uint32_t number, uint32_t kernel_major, uint32_t kernel_minor);

// On any kernel.
bool PassesByFilters(Arch arch, uint32_t number);

// Empty also when the call has no arguments or is not on this architecture.
SyscallArgList SyscallArgs(Arch arch, std::string_view name);

}  // namespace bulkhead
