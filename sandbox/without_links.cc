// SPDX-License-Identifier: Apache-2.0
#include "sandbox/without_links.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace bulkhead {
namespace {

constexpr int kPath = O_PATH | O_NOFOLLOW | O_CLOEXEC;

// Of one part, which is no link.
long OpenPart(Kernel& kernel, long directory, const char* name) {
  const long fd = kernel(SYS_openat, directory, name, kPath);
  if (fd < 0) return fd;
  struct stat info {};
  long result = kernel(SYS_fstat, fd, &info);
  if (result >= 0 && !S_ISLNK(info.st_mode)) return fd;
  if (result >= 0) result = -ELOOP;
  const long closed = kernel(SYS_close, fd);
  return closed < 0 ? closed : result;
}

long OpenByParts(Kernel& kernel, long directory, const char* path) {
  const char* const from = *path == '/' ? "/" : ".";
  long at = kernel(SYS_openat, directory, from, kPath | O_DIRECTORY);
  for (const char* rest = path; at >= 0;) {
    rest += std::strspn(rest, "/");
    const size_t size = std::strcspn(rest, "/");
    if (size == 0) return at;
    std::array<char, NAME_MAX + 1> name{};
    if (size < name.size()) std::memcpy(name.data(), rest, size);
    rest += size;
    const long next = size < name.size() ? OpenPart(kernel, at, name.data()) : -ENAMETOOLONG;
    const long closed = kernel(SYS_close, at);
    at = next >= 0 && closed < 0 ? closed : next;
  }
  return at;
}

}  // namespace

long OpenWithoutLinks(Kernel& kernel, long directory, const char* path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  const char* const named = *path == '\0' ? "." : path;
  const long fd = kernel(SYS_openat2, directory, named, &how, sizeof how);
  // Filters around this machine that don't know the call may answer the second.
  return fd == -ENOSYS || fd == -EPERM ? OpenByParts(kernel, directory, path) : fd;
}

}  // namespace bulkhead
