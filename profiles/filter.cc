// SPDX-License-Identifier: Apache-2.0
#include "profiles/filter.h"

namespace bulkhead {
namespace {

bool IsConditional(uint16_t code) {
  return code == kJumpEqual || code == kJumpGreater || code == kJumpGreaterEqual ||
         code == kJumpSet;
}

bool IsKnownAction(uint32_t k) {
  if ((k & 0xffff0000U) == kRetErrno) return (k & 0xffffU) < 4096;
  return k == kRetKillProcess || k == kRetUserNotif || k == kRetTrace || k == kRetAllow ||
         k == kRetLog || k == kRetTrap;
}

std::string At(size_t index, const char* what) {
  return "instruction " + std::to_string(index) + ": " + what;
}

std::optional<std::string> InstructionDefect(const Filter& filter, size_t i) {
  const Instruction& ins = filter[i];
  const size_t left = filter.size() - i - 1;  // instructions after this one
  if (IsConditional(ins.code)) {
    if (ins.jt >= left || ins.jf >= left) return At(i, "jump leaves the program");
    return std::nullopt;
  }
  if (ins.jt != 0 || ins.jf != 0) return At(i, "jump offsets on a non-jump");
  switch (ins.code) {
    case kLoad:
      if (ins.k > 60 || ins.k % 4 != 0) return At(i, "load outside the seccomp data");
      break;
    case kAndConst:
      break;
    case kJumpAlways:
      if (ins.k >= left) return At(i, "jump leaves the program");
      return std::nullopt;
    case kReturn:
      if (!IsKnownAction(ins.k)) return At(i, "unknown action");
      return std::nullopt;
    default:
      return At(i, "unknown opcode");
  }
  if (left == 0) return At(i, "the program does not end in a return");
  return std::nullopt;
}

uint32_t LoadWord(const SeccompData& data, uint32_t offset) {
  if (offset == kOffsetNr) return data.nr;
  if (offset == kOffsetArch) return data.arch;
  const uint64_t value = offset < 16 ? data.instruction_pointer : data.args[(offset - 16) / 8 % 6];
  return offset % 8 == 0 ? static_cast<uint32_t>(value) : static_cast<uint32_t>(value >> 32);
}

bool Taken(const Instruction& ins, uint32_t a) {
  switch (ins.code) {
    case kJumpEqual:
      return a == ins.k;
    case kJumpGreater:
      return a > ins.k;
    case kJumpGreaterEqual:
      return a >= ins.k;
    default:
      return (a & ins.k) != 0;
  }
}

}  // namespace

std::optional<std::string> FilterDefect(const Filter& filter) {
  if (filter.empty()) return "the filter is empty";
  if (filter.size() > kMaxFilterLength) return "the filter is longer than 4096 instructions";
  for (size_t i = 0; i < filter.size(); ++i) {
    if (auto defect = InstructionDefect(filter, i)) return defect;
  }
  return std::nullopt;
}

Evaluation Evaluate(const Filter& filter, const SeccompData& data) {
  Evaluation result;
  uint32_t a = 0;
  for (size_t pc = 0; pc < filter.size(); ++pc) {
    const Instruction& ins = filter[pc];
    ++result.executed;
    if (ins.code == kReturn) {
      result.action = ins.k;
      return result;
    }
    if (ins.code == kLoad) {
      a = LoadWord(data, ins.k);
    } else if (ins.code == kAndConst) {
      a &= ins.k;
    } else if (ins.code == kJumpAlways) {
      pc += ins.k;
    } else if (IsConditional(ins.code)) {
      pc += Taken(ins, a) ? ins.jt : ins.jf;
    } else {
      return result;
    }
  }
  return result;
}

}  // namespace bulkhead
