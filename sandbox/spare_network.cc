// SPDX-License-Identifier: Apache-2.0
#include "sandbox/spare_network.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

namespace bulkhead {
namespace {

constexpr char kOwn[] = "/proc/self/ns/net";

}  // namespace

int SpareNetwork::Make(Kernel& kernel) {
  Drop();
  const long own = kernel(SYS_openat, AT_FDCWD, kOwn, O_RDONLY | O_CLOEXEC, 0);
  if (own < 0) return static_cast<int>(-own);
  const long left = kernel(SYS_unshare, CLONE_NEWNET);
  long made = left;
  if (left >= 0) {
    made = kernel(SYS_openat, AT_FDCWD, kOwn, O_RDONLY | O_CLOEXEC, 0);
    if (kernel(SYS_setns, own, CLONE_NEWNET) < 0) std::abort();
  }
  close(static_cast<int>(own));
  if (made < 0) return static_cast<int>(-made);
  fd_ = static_cast<int>(made);
  return 0;
}

void SpareNetwork::Drop() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace bulkhead
