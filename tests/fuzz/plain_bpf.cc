// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/plain_bpf.h"

#include <array>
#include <cstddef>

namespace bulkhead::testing {
namespace {

// linux/bpf_common.h
constexpr unsigned kClassMask = 0x07;
constexpr unsigned kClassLoad = 0x00;
constexpr unsigned kClassAlu = 0x04;
constexpr unsigned kClassJump = 0x05;
constexpr unsigned kClassReturn = 0x06;
constexpr unsigned kSizeAndModeWordAbsolute = 0x20;  // BPF_W | BPF_ABS
constexpr unsigned kOperationMask = 0xf0;
constexpr unsigned kOperationAnd = 0x50;
constexpr unsigned kJumpJa = 0x00;
constexpr unsigned kJumpJeq = 0x10;
constexpr unsigned kJumpJgt = 0x20;
constexpr unsigned kJumpJge = 0x30;
constexpr unsigned kJumpJset = 0x40;
constexpr size_t kMaxInstructions = 4096;
constexpr size_t kDataSize = 64;  // sizeof(struct seccomp_data)

using DataBytes = std::array<uint8_t, kDataSize>;

DataBytes BytesOf(const SeccompData& data) {
  DataBytes bytes{};
  const auto put = [&](size_t at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes.at(at + i) = static_cast<uint8_t>(value >> (8 * i));
  };
  put(0, data.nr, 4);
  put(4, data.arch, 4);
  put(8, data.instruction_pointer, 8);
  for (size_t i = 0; i < data.args.size(); ++i) put(16 + 8 * i, data.args.at(i), 8);
  return bytes;
}

bool IsJump(const Instruction& instruction) {
  return (instruction.code & kClassMask) == kClassJump;
}

bool IsUnconditional(const Instruction& instruction) {
  return (instruction.code & kOperationMask) == kJumpJa;
}

bool KnowsJump(const Instruction& instruction) {
  if ((instruction.code & ~(kOperationMask | kClassMask)) != 0) return false;
  return (instruction.code & kOperationMask) <= kJumpJset;
}

// One instruction by itself; where jumps go is looked at elsewhere.
bool KnowsOpcode(const Instruction& instruction) {
  switch (instruction.code & kClassMask) {
    case kClassLoad:
      return instruction.code == (kClassLoad | kSizeAndModeWordAbsolute) &&
             instruction.k % 4 == 0 && instruction.k < kDataSize;
    case kClassAlu:
      return instruction.code == (kClassAlu | kOperationAnd);
    case kClassJump:
      return KnowsJump(instruction);
    case kClassReturn:
      return instruction.code == kClassReturn;
    default:
      return false;
  }
}

bool JumpsInside(const Filter& filter, size_t at) {
  const Instruction& instruction = filter[at];
  const uint64_t after = uint64_t{at} + 1;
  if (IsUnconditional(instruction)) return after + instruction.k < filter.size();
  return after + instruction.jt < filter.size() && after + instruction.jf < filter.size();
}

bool Holds(const Instruction& instruction, uint32_t a) {
  const uint32_t k = instruction.k;
  switch (instruction.code & kOperationMask) {
    case kJumpJeq:
      return a == k;
    case kJumpJgt:
      return a > k;
    case kJumpJge:
      return a >= k;
    default:
      return (a & k) != 0;
  }
}

}  // namespace

bool KernelLoads(const Filter& filter) {
  if (filter.empty() || filter.size() > kMaxInstructions) return false;
  for (size_t at = 0; at < filter.size(); ++at) {
    if (!KnowsOpcode(filter[at])) return false;
    if (IsJump(filter[at]) && !JumpsInside(filter, at)) return false;
  }
  return (filter.back().code & kClassMask) == kClassReturn;
}

std::optional<uint32_t> RunPlainly(const Filter& filter, const SeccompData& data) {
  const DataBytes bytes = BytesOf(data);
  uint32_t a = 0;
  for (size_t at = 0; at < filter.size(); ++at) {
    const Instruction& instruction = filter[at];
    switch (instruction.code & kClassMask) {
      case kClassLoad:
        a = 0;
        for (size_t i = 4; i > 0; --i) a = a << 8 | bytes.at(instruction.k + i - 1);
        break;
      case kClassAlu:
        a &= instruction.k;
        break;
      case kClassJump:
        if (IsUnconditional(instruction)) {
          at += instruction.k;
        } else {
          at += Holds(instruction, a) ? instruction.jt : instruction.jf;
        }
        break;
      default:
        return instruction.k;
    }
  }
  return std::nullopt;
}

}  // namespace bulkhead::testing
