// SPDX-License-Identifier: Apache-2.0
#include "profiles/syscalls.h"

#include <algorithm>
#include <utility>

namespace bulkhead {
namespace {

constexpr SyscallRow kRows[] = {
#define BULKHEAD_SYSCALL(name, x86_64, aarch64, args) {#name, x86_64, aarch64, args, args},
#define BULKHEAD_SYSCALL_PER_ARCH(name, x86_64, aarch64, x86_64_args, aarch64_args) \
  {#name, x86_64, aarch64, x86_64_args, aarch64_args},
#include "profiles/syscall_table.inc"
#undef BULKHEAD_SYSCALL
#undef BULKHEAD_SYSCALL_PER_ARCH
};
constexpr size_t kRowCount = std::size(kRows);

constexpr std::optional<ArgType> ParseArgType(std::string_view text) {
  struct TypeName {
    std::string_view text;
    ArgType type;
  };
  constexpr TypeName kNames[] = {
      {"i32", ArgType::kI32}, {"u32", ArgType::kU32}, {"i64", ArgType::kI64},
      {"u64", ArgType::kU64}, {"u16", ArgType::kU16}, {"ptr", ArgType::kPointer},
  };
  for (const TypeName& name : kNames) {
    if (name.text == text) {
      return name.type;
    }
  }
  return std::nullopt;
}

constexpr std::optional<SyscallArgList> ParseArgs(std::string_view text) {
  SyscallArgList list;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    const size_t colon = word.find(':');
    if (colon == 0 || colon == std::string_view::npos || list.Find(word.substr(0, colon))) {
      return std::nullopt;
    }
    const std::optional<ArgType> type = ParseArgType(word.substr(colon + 1));
    if (!type || !list.Append({word.substr(0, colon), *type})) {
      return std::nullopt;
    }
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return list;
}

constexpr bool RowsAreSortedByName() {
  for (size_t i = 1; i < kRowCount; ++i) {
    if (kRows[i - 1].name >= kRows[i].name) {
      return false;
    }
  }
  return true;
}
static_assert(RowsAreSortedByName());

// One assertion a row: compilers bound the steps of a single constant evaluation.
#define BULKHEAD_SYSCALL(name, x86_64, aarch64, args) static_assert(ParseArgs(args));
#define BULKHEAD_SYSCALL_PER_ARCH(name, x86_64, aarch64, x86_64_args, aarch64_args) \
  static_assert(ParseArgs(x86_64_args) && ParseArgs(aarch64_args));
#include "profiles/syscall_table.inc"
#undef BULKHEAD_SYSCALL
#undef BULKHEAD_SYSCALL_PER_ARCH

// Rows of one architecture, sorted by number. Rows of the other come last and are not counted.
struct NumberIndex {
  std::array<uint16_t, kRowCount> rows{};
  size_t size = 0;
};

constexpr NumberIndex MakeNumberIndex(Arch arch) {
  NumberIndex index;
  for (uint16_t row = 0; row < kRowCount; ++row) {
    if (kRows[row].Number(arch)) {
      index.rows[index.size++] = row;
    }
  }
  std::ranges::sort(index.rows.begin(), index.rows.begin() + index.size, {},
                    [arch](uint16_t row) { return *kRows[row].Number(arch); });
  return index;
}

constexpr NumberIndex kByNumberX86 = MakeNumberIndex(Arch::kX86_64);
constexpr NumberIndex kByNumberAarch64 = MakeNumberIndex(Arch::kAarch64);

constexpr bool NumbersAreUnique(const NumberIndex& index, Arch arch) {
  for (size_t i = 1; i < index.size; ++i) {
    if (kRows[index.rows[i - 1]].Number(arch) == kRows[index.rows[i]].Number(arch)) {
      return false;
    }
  }
  return true;
}
static_assert(NumbersAreUnique(kByNumberX86, Arch::kX86_64));
static_assert(NumbersAreUnique(kByNumberAarch64, Arch::kAarch64));

const SyscallRow* FindRow(std::string_view name) {
  const SyscallRow* row = std::ranges::lower_bound(kRows, name, {}, &SyscallRow::name);
  return row != std::end(kRows) && row->name == name ? row : nullptr;
}

struct Unfiltered {
  std::string_view name;
  std::pair<uint32_t, uint32_t> since;  // the release that has the call
};

constexpr Unfiltered kUnfiltered[] = {{"uprobe", {6, 18}}, {"uretprobe", {6, 11}}};

}  // namespace

unsigned ArgBits(ArgType type) {
  switch (type) {
    case ArgType::kU16:
      return 16;
    case ArgType::kI32:
    case ArgType::kU32:
      return 32;
    case ArgType::kI64:
    case ArgType::kU64:
    case ArgType::kPointer:
      return 64;
  }
  return 64;
}

bool ArgIsSigned(ArgType type) { return type == ArgType::kI32 || type == ArgType::kI64; }

std::span<const SyscallRow> AllSyscalls() { return kRows; }

std::optional<uint32_t> SyscallNumber(Arch arch, std::string_view name) {
  const SyscallRow* row = FindRow(name);
  return row == nullptr ? std::nullopt : row->Number(arch);
}

std::string_view SyscallName(Arch arch, uint32_t number) {
  const NumberIndex& index = arch == Arch::kX86_64 ? kByNumberX86 : kByNumberAarch64;
  const auto end = index.rows.begin() + index.size;
  const auto number_of = [arch](uint16_t row) { return *kRows[row].Number(arch); };
  const auto found = std::ranges::lower_bound(index.rows.begin(), end, number, {}, number_of);
  return found != end && number_of(*found) == number ? kRows[*found].name : std::string_view();
}

bool IsSyscallName(std::string_view name) { return FindRow(name) != nullptr; }

bool PassesByFilters(Arch arch, uint32_t number, uint32_t kernel_major, uint32_t kernel_minor) {
  const std::string_view name = SyscallName(arch, number);
  return std::ranges::any_of(kUnfiltered, [&](const Unfiltered& call) {
    return call.name == name && std::pair(kernel_major, kernel_minor) >= call.since;
  });
}

bool PassesByFilters(Arch arch, uint32_t number) {
  return PassesByFilters(arch, number, UINT32_MAX, 0);
}

SyscallArgList SyscallArgs(Arch arch, std::string_view name) {
  const SyscallRow* row = FindRow(name);
  if (row == nullptr || !row->Number(arch)) {
    return {};
  }
  const auto args = ParseArgs(arch == Arch::kX86_64 ? row->x86_64_args : row->aarch64_args);
  return args.value_or(SyscallArgList());
}

}  // namespace bulkhead
