// SPDX-License-Identifier: Apache-2.0
// The ways in which a program does something to a file: system calls and the Landlock rights that
// the kernel asks for then (open(2), rename(2), mknod(2), utimensat(2), landlock(7)). Also those
// that are meant for something else: creat(2) opens what is there. Internal to compiler/. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/filter_reads.h"
#include "compiler/question.h"

namespace bulkhead {

struct FileWay {
  std::vector<CallForm> calls;
  uint64_t on_file = 0;    // Landlock rights on the path itself
  uint64_t on_parent = 0;  // on its directory
  bool needs_owner = false;
};

// `directory`, `device`: what is known to be at the path. The action is one on paths.
std::vector<FileWay> WaysOfFile(Action action, bool directory, bool device);

// Numbers of all calls that an answer about a file can hang on; sorted.
std::vector<uint32_t> CallsOfFiles(Arch arch);

// Opens a file that is there, to read it.
CallForm OpensToRead();

}  // namespace bulkhead
