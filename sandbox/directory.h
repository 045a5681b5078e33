// SPDX-License-Identifier: Apache-2.0
// Reading a directory between clone and exec: nothing is allocated. Source: getdents64(2).
#pragma once

#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "sandbox/kernel.h"

namespace bulkhead {

// Calls visit(const char* name, uint8_t type) -> long for each entry of the open directory, DT_* as
// the type. 0 at the end; minus an errno from the kernel, or the first negative answer of `visit`.
template <typename Visit>
long EachEntry(Kernel& kernel, long directory, Visit visit) {
  // struct linux_dirent64: inode, offset (64 bits each), length (16), type (8), the name.
  constexpr long kLength = 16;
  constexpr long kType = 18;
  constexpr long kName = 19;
  alignas(8) std::array<char, 4096> entries;
  for (;;) {
    const long size = kernel(SYS_getdents64, directory, entries.data(), entries.size());
    if (size <= 0) return size;
    for (long at = 0; at < size;) {
      const char* entry = entries.data() + at;
      uint16_t length = 0;
      std::memcpy(&length, entry + kLength, sizeof length);
      if (length <= kName || length > size - at) return -EIO;
      if (const long visited = visit(entry + kName, static_cast<uint8_t>(entry[kType]));
          visited < 0) {
        return visited;
      }
      at += length;
    }
  }
}

// A name of digits as the number it is: a process in /proc, a descriptor in /proc/self/fd. -1 for
// any other name.
inline long NumberOf(const char* name) {
  constexpr long kTooMuch = 1L << 31;
  if (*name == '\0') return -1;
  long number = 0;
  for (; *name != '\0'; ++name) {
    if (*name < '0' || *name > '9' || number >= kTooMuch) return -1;
    number = 10 * number + (*name - '0');
  }
  return number;
}

}  // namespace bulkhead
