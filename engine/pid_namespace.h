// SPDX-License-Identifier: Apache-2.0
// Which run a process is of, where its pid alone doesn't say: each run has a PID namespace of its
// own that nothing of it can leave. Thread-safe.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

namespace bulkhead {

// The inode of its PID namespace (namespaces(7)), also of one that has ended and was not waited
// for; 0: there is no such process. Another namespace has another number while this one lives.
inline uint64_t PidNamespaceOf(pid_t pid) {
  struct stat info {};
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/pid";
  return pid > 0 && stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

}  // namespace bulkhead
