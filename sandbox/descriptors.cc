// SPDX-License-Identifier: Apache-2.0
#include "sandbox/descriptors.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "sandbox/directory.h"

namespace bulkhead {

long CloseFrom(Kernel& kernel, int first, bool close_range) {
  if (close_range) return kernel(SYS_close_range, first, ~0U, 0);
  const long list =
      kernel(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (list < 0) return list;
  // The kernel goes on from the number after the last one listed, so closing misses nothing.
  const long closed = EachEntry(kernel, list, [&](const char* name, uint8_t) {
    const long fd = NumberOf(name);
    return fd >= first && fd != list ? kernel(SYS_close, fd) : 0L;
  });
  const long done = kernel(SYS_close, list);
  return closed < 0 ? closed : done;
}

}  // namespace bulkhead
