// SPDX-License-Identifier: Apache-2.0
// Classic BPF as seccomp runs it: the instruction type, a structural check equal to the kernel's
// own, and an evaluator. Pure, thread-safe. Sources: linux/filter.h, kernel/seccomp.c
// (seccomp_check_filter), net/core/filter.c (bpf_check_classic).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead {

struct Instruction {  // struct sock_filter
  uint16_t code = 0;
  uint8_t jt = 0;
  uint8_t jf = 0;
  uint32_t k = 0;
  auto operator<=>(const Instruction&) const = default;
};

using Filter = std::vector<Instruction>;

inline constexpr size_t kMaxFilterLength = 4096;  // BPF_MAXINSNS

// The opcodes that the code generator emits; loads are absolute words of SeccompData.
inline constexpr uint16_t kLoad = 0x20;      // BPF_LD | BPF_W | BPF_ABS
inline constexpr uint16_t kAndConst = 0x54;  // BPF_ALU | BPF_AND | BPF_K
inline constexpr uint16_t kJumpAlways = 0x05;
inline constexpr uint16_t kJumpEqual = 0x15;
inline constexpr uint16_t kJumpGreater = 0x25;
inline constexpr uint16_t kJumpGreaterEqual = 0x35;
inline constexpr uint16_t kJumpSet = 0x45;
inline constexpr uint16_t kReturn = 0x06;

// Seccomp actions, linux/seccomp.h.
inline constexpr uint32_t kRetKillProcess = 0x80000000U;
inline constexpr uint32_t kRetTrap = 0x00030000U;
inline constexpr uint32_t kRetErrno = 0x00050000U;  // | errno
inline constexpr uint32_t kRetTrace = 0x7ff00000U;  // ENOSYS where there is no tracer
inline constexpr uint32_t kRetUserNotif = 0x7fc00000U;
inline constexpr uint32_t kRetLog = 0x7ffc0000U;
inline constexpr uint32_t kRetAllow = 0x7fff0000U;

struct SeccompData {  // struct seccomp_data
  uint32_t nr = 0;
  uint32_t arch = 0;
  uint64_t instruction_pointer = 0;
  std::array<uint64_t, 6> args{};
};

// Byte offsets of the words of SeccompData (little endian).
inline constexpr uint32_t kOffsetNr = 0;
inline constexpr uint32_t kOffsetArch = 4;
constexpr uint32_t OffsetArgLow(uint32_t index) { return 16 + 8 * index; }
constexpr uint32_t OffsetArgHigh(uint32_t index) { return 20 + 8 * index; }

// nullopt when the program is one that the generator could have written: only the opcodes above,
// forward jumps inside the program, aligned loads inside SeccompData, every path ends in a return
// of a known action. Otherwise what is wrong. Narrower than what the kernel accepts.
std::optional<std::string> FilterDefect(const Filter& filter);

struct Evaluation {
  uint32_t action = kRetKillProcess;
  uint32_t executed = 0;  // instructions
};

// Runs a filter that has no defect; anything else kills, as an impossible path should.
Evaluation Evaluate(const Filter& filter, const SeccompData& data);

}  // namespace bulkhead
