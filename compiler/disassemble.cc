// SPDX-License-Identifier: Apache-2.0
#include "compiler/disassemble.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <vector>

#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr uint32_t kX32Bit = 0x40000000U;  // __X32_SYSCALL_BIT, asm/unistd.h

std::string WordName(uint32_t offset) {
  if (offset == kOffsetNr) return "nr";
  if (offset == kOffsetArch) return "arch";
  const std::string_view half = offset % 8 == 0 ? "low" : "high";
  if (offset < OffsetArgLow(0)) return fmt::format("ip.{}", half);
  return fmt::format("arg{}.{}", (offset - OffsetArgLow(0)) / 8, half);
}

std::string ActionName(uint32_t action) {
  if ((action & 0xffff0000U) == kRetErrno) return fmt::format("errno {}", action & 0xffffU);
  switch (action) {
    case kRetKillProcess:
      return "kill process";
    case kRetTrap:
      return "trap";
    case kRetTrace:
      return "trace";
    case kRetUserNotif:
      return "notify";
    case kRetLog:
      return "log";
    case kRetAllow:
      return "allow";
    default:
      return fmt::format("{:#010x}", action);
  }
}

std::string_view Operator(uint16_t code) {
  switch (code) {
    case kJumpEqual:
      return "==";
    case kJumpGreater:
      return ">";
    case kJumpGreaterEqual:
      return ">=";
    case kJumpSet:
      return "&";
    default:
      return "";
  }
}

// The offset of the word that the accumulator holds before each instruction. Jumps go forward only,
// so one pass sees all ways to an instruction before it.
class LoadedWords {
 public:
  explicit LoadedWords(const Filter& filter) : before_(filter.size()) {
    for (size_t i = 0; i < filter.size(); ++i) Follow(i, filter[i]);
  }

  // nullopt: no word, or not the same one on every way.
  std::optional<uint32_t> Before(size_t index) const {
    const Word& word = before_[index];
    return word.known ? std::optional(word.offset) : std::nullopt;
  }

 private:
  struct Word {
    bool reached = false;
    bool known = false;
    uint32_t offset = 0;
  };

  void Follow(size_t i, const Instruction& instruction) {
    Word after = before_[i];
    if (instruction.code == kLoad) {
      after.known = true;
      after.offset = instruction.k;
    }
    if (instruction.code == kReturn) return;
    if (instruction.code == kJumpAlways) return Reach(i + 1 + instruction.k, after);
    Reach(i + 1 + instruction.jt, after);
    Reach(i + 1 + instruction.jf, after);
  }

  void Reach(size_t target, const Word& from) {
    if (target >= before_.size()) return;
    Word& word = before_[target];
    const bool same = !word.reached || (word.known && word.offset == from.offset);
    word = {true, from.known && same, from.offset};
  }

  std::vector<Word> before_;
};

class Disassembler {
 public:
  Disassembler(const Filter& filter, Arch arch) : filter_(filter), arch_(arch), words_(filter) {}

  std::string Line(size_t index) const {
    return fmt::format("{:4}  {}\n", index, Text(index, filter_[index]));
  }

 private:
  std::string Text(size_t index, const Instruction& instruction) const {
    switch (instruction.code) {
      case kLoad:
        return "load " + WordName(instruction.k);
      case kAndConst:
        return fmt::format("and {:#x}", instruction.k);
      case kJumpAlways:
        return fmt::format("go to {}", index + 1 + instruction.k);
      case kReturn:
        return "return " + ActionName(instruction.k);
      default:
        return Branch(index, instruction);
    }
  }

  std::string Branch(size_t index, const Instruction& instruction) const {
    const std::string_view sign = Operator(instruction.code);
    if (sign.empty()) {
      return fmt::format("code {:#06x} {} {} {:#x}", instruction.code, instruction.jt,
                         instruction.jf, instruction.k);
    }
    return fmt::format("if {} {} go to {} else {}", sign, Operand(index, instruction.k),
                       index + 1 + instruction.jt, index + 1 + instruction.jf);
  }

  std::string Operand(size_t index, uint32_t k) const {
    const auto word = words_.Before(index);
    if (word == kOffsetArch && k == AuditArch(arch_)) return std::string(ArchName(arch_));
    if (word != kOffsetNr) return fmt::format("{:#x}", k);
    if (k >= kX32Bit) return fmt::format("{:#x}", k);
    const std::string_view name = SyscallName(arch_, k);
    return name.empty() ? fmt::to_string(k) : fmt::format("{} ({})", k, name);
  }

  const Filter& filter_;
  Arch arch_;
  LoadedWords words_;
};

}  // namespace

std::string Disassemble(const Filter& filter, Arch arch) {
  const Disassembler disassembler(filter, arch);
  std::string text;
  for (size_t i = 0; i < filter.size(); ++i) text += disassembler.Line(i);
  return text;
}

}  // namespace bulkhead
