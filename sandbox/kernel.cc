// SPDX-License-Identifier: Apache-2.0
#include "sandbox/kernel.h"

#include <unistd.h>

#include <cerrno>

namespace bulkhead {

long RealKernel::Call(long number, const long (&args)[6]) {
  const int saved = errno;
  const long result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
  const long answer = result == -1 ? -errno : result;
  errno = saved;
  return answer;
}

}  // namespace bulkhead
