// SPDX-License-Identifier: Apache-2.0
// The process behind a call that waits for its answer: its memory, its paths, its sockets. Every
// function here can wait for as long as that process likes (a page under its userfaultfd, a stalled
// disk), so none may be called on the supervisor's own thread. What is read is the caller's word.
// Sources: process_vm_readv(2), openat2(2) (Linux 5.6), pidfd_getfd(2) (5.6), proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "engine/fd.h"

namespace bulkhead {

// The text at `address`, without its null byte, at most 4,095 bytes. Empty: can't be read.
std::optional<std::string> ReadText(pid_t pid, uint64_t address);

// `size` bytes, at most 128.
std::optional<std::string> ReadBytes(pid_t pid, uint64_t address, size_t size);

// The absolute path that `path` is for the process, relative to descriptor `directory` (AT_FDCWD:
// its working directory), without `.`, empty parts and, as far as text tells, `..`.
std::string AbsolutePath(pid_t pid, int directory, const std::string& path);

// What an absolute path leads to in the root of the process, links followed.
struct PathTarget {
  char type = '-';        // f file, d directory, s socket, p pipe, c and b devices, - nothing
  std::string real;       // without links; of nothing: that of its directory, if there is one
  bool dangling = false;  // a link that leads to nothing
  bool permitted = true;  // by owner, group and mode, for what is asked
};
struct Identity {
  uint32_t uid = 0;
  uint32_t gid = 0;
};
// `wanted`: 4 read, 2 write, 1 execute or search, 0 nothing but the way to it.
PathTarget FollowPath(pid_t pid, const std::string& path, const Identity& who, unsigned wanted);

// A copy of the process's descriptor.
Fd CopyOf(pid_t pid, int descriptor);

// "tcp 127.0.0.1:80", "udp [::1]:53", "unix /run/x", "unix @abstract", "family 16". Empty: none.
std::string AddressText(const std::string& bytes, int socket_type);

std::string ExeOf(pid_t pid);

}  // namespace bulkhead
