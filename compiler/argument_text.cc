// SPDX-License-Identifier: Apache-2.0
#include "compiler/argument_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "compiler/argument_notation.h"
#include "compiler/constants.h"

namespace bulkhead {
namespace {

// A call that one architecture alone has tells which it is.
std::optional<Arch> KnownArch(std::optional<Arch> arch, std::string_view call) {
  if (arch) return arch;
  if (!SyscallNumber(Arch::kAarch64, call)) return Arch::kX86_64;
  if (!SyscallNumber(Arch::kX86_64, call)) return Arch::kAarch64;
  return std::nullopt;
}

std::optional<uint64_t> ValueOn(std::optional<Arch> arch, const Constant& constant) {
  if (arch) return *arch == Arch::kX86_64 ? constant.x86_64 : constant.aarch64;
  return constant.x86_64 == constant.aarch64 ? constant.x86_64 : std::nullopt;
}

uint64_t WidthOf(const ArgInfo& info) {
  const unsigned bits = ArgBits(info.type);
  return bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
}

constexpr uint64_t kNegatives = 4096;  // beyond them it is rather a pattern of bits

class Writer {
 public:
  // `width`: every bit of the argument.
  Writer(std::optional<Arch> arch, const Notation& notation, uint64_t width, bool number)
      : arch_(arch), notation_(notation), width_(width), number_(number) {}

  std::string Text(uint64_t value) {
    // Every bit at once is no set of flags: it is -1.
    const bool flags = !notation_.flags.empty();
    if (!flags || value != width_) {
      TakeField(value);
      TakeFlags(value);
    }
    if (value != 0 || text_.empty()) Add(Number(value));
    return text_;
  }

 private:
  void TakeField(uint64_t& value) {
    const uint64_t field = notation_.field != 0 ? notation_.field : width_;
    for (const Constants& values : notation_.values) {
      for (const Constant& constant : values) {
        const auto named = ValueOn(arch_, constant);
        if (!named || (*named & width_) != (value & field)) continue;
        value &= ~field;
        return Add(constant.name);
      }
    }
  }

  // Those of more bits first: they hold others within them.
  void TakeFlags(uint64_t& value) {
    std::vector<std::pair<uint64_t, std::string_view>> set;
    for (const Constants& flags : notation_.flags) {
      for (const Constant& constant : flags) {
        const uint64_t bits = ValueOn(arch_, constant).value_or(0) & width_ & ~notation_.field;
        if (bits != 0 && (value & bits) == bits) set.emplace_back(bits, constant.name);
      }
    }
    std::ranges::stable_sort(set, [](const auto& one, const auto& other) {
      return std::popcount(one.first) > std::popcount(other.first);
    });
    for (const auto& [bits, name] : set) {
      if ((value & bits) != bits) continue;
      value &= ~bits;
      Add(name);
    }
  }

  std::string Number(uint64_t value) const {
    if (value == 0) return "0";
    if (notation_.octal) return fmt::format("0o{:o}", value);
    // A descriptor, a process, a length: what C has as `int` and no constant names.
    const bool number = number_ && notation_.flags.empty();
    if (number && value <= width_ / 2) return std::to_string(value);
    if (number && width_ - value < kNegatives) return fmt::format("-{}", width_ - value + 1);
    return fmt::format("{:#x}", value);
  }

  void Add(std::string_view word) { text_.append(text_.empty() ? "" : "|").append(word); }

  std::optional<Arch> arch_;
  const Notation& notation_;
  uint64_t width_;
  bool number_;  // to people: in decimal
  std::string text_;
};

bool HasWord(std::string_view words, std::string_view word) {
  for (size_t at = words.find(word); at != std::string_view::npos; at = words.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || words[at - 1] == ' ') && (end == words.size() || words[end] == ' ')) {
      return true;
    }
  }
  return false;
}

bool Holds(const Notation& notation, std::optional<Arch> arch, const SyscallArgList& infos,
           const Registers& registers) {
  if (notation.condition.empty()) return true;
  const auto other = infos.Find(notation.condition);
  const auto wanted = ConstantValue(arch.value_or(Arch::kX86_64), notation.holds);
  if (!other || !wanted) return false;
  const uint64_t width = WidthOf(infos[*other]);
  return (registers.at(*other) & width) == (*wanted & width);
}

// `arch`: whose table the arguments are of.
const Notation* NotationOf(std::string_view call, std::string_view argument,
                           std::optional<Arch> arch, const SyscallArgList& infos,
                           const Registers& registers) {
  const auto found = std::ranges::find_if(Notations(), [&](const Notation& notation) {
    return notation.argument == argument &&
           (notation.calls.empty() || HasWord(notation.calls, call)) &&
           Holds(notation, arch, infos, registers);
  });
  return found == Notations().end() ? nullptr : &*found;
}

}  // namespace

std::string ArgumentText(std::optional<Arch> arch, std::string_view call,
                         const Registers& registers, unsigned index) {
  static const Notation kNone;
  arch = KnownArch(arch, call);
  const SyscallArgList infos = SyscallArgs(arch.value_or(Arch::kX86_64), call);
  const ArgInfo& info = infos[index];
  const Notation* notation = NotationOf(call, info.name, arch, infos, registers);
  const uint64_t width = WidthOf(info);
  // The kernel has descriptors as `unsigned int` here and there.
  const bool number = ArgIsSigned(info.type) || info.name.ends_with("fd");
  return Writer(arch, notation != nullptr ? *notation : kNone, width, number)
      .Text(registers.at(index) & width);
}

NamedTexts ArgumentTexts(std::optional<Arch> arch, std::string_view call,
                         const Registers& registers, KnownRegisters known) {
  NamedTexts texts;
  arch = KnownArch(arch, call);
  const SyscallArgList infos = SyscallArgs(arch.value_or(Arch::kX86_64), call);
  const SyscallArgList others = SyscallArgs(Arch::kAarch64, call);
  for (unsigned i = 0; i < infos.size(); ++i) {
    const ArgInfo& info = infos[i];
    if (info.type == ArgType::kPointer || !known.test(i)) continue;
    if (!arch && (i >= others.size() || others[i].name != info.name)) continue;
    texts.emplace_back(info.name, ArgumentText(arch, call, registers, i));
  }
  return texts;
}

}  // namespace bulkhead
