// SPDX-License-Identifier: Apache-2.0
#include "cli/image_elf.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/fd.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr unsigned kMaxHeaders = 64;

template <typename T>
bool ReadAt(int fd, uint64_t offset, T& value) {
  return pread(fd, &value, sizeof value, static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(sizeof value);
}

}  // namespace

tl::expected<ElfKind, std::string> ReadElf(const std::string& path) {
  const auto wrong = [&](std::string_view what) {
    return tl::make_unexpected(fmt::format("{} {}", Quoted(path), what));
  };
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return wrong(fmt::format("can't be opened: {}", strerror(errno)));
  Elf64_Ehdr header{};
  if (!ReadAt(fd.get(), 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return wrong("is no ELF file of 64 bits; a compressed module must be decompressed first");
  }
  ElfKind kind;
  if (header.e_machine != EM_X86_64 && header.e_machine != EM_AARCH64) {
    return wrong("is for another architecture");
  }
  kind.arch = header.e_machine == EM_X86_64 ? Arch::kX86_64 : Arch::kAarch64;
  kind.executable = header.e_type == ET_EXEC || header.e_type == ET_DYN;
  if (header.e_phnum > kMaxHeaders) return wrong("has too many program headers");
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!ReadAt(fd.get(), header.e_phoff + i * sizeof segment, segment)) return wrong("is cut off");
    kind.interpreted = kind.interpreted || segment.p_type == PT_INTERP;
  }
  return kind;
}

}  // namespace bulkhead
