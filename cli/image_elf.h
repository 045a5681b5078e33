// SPDX-License-Identifier: Apache-2.0
// As much of an ELF file as tells whether it can be an image's first program, or a module. Sources:
// elf(5). Thread-safe.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "profiles/arch.h"

namespace bulkhead {

struct ElfKind {
  Arch arch = Arch::kX86_64;
  bool executable = false;   // a program, not an object such as a module
  bool interpreted = false;  // needs a dynamic loader
};

// Errors: the file can't be read, is compressed, is no ELF file of an architecture that is known.
tl::expected<ElfKind, std::string> ReadElf(const std::string& path);

}  // namespace bulkhead
