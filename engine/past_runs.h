// SPDX-License-Identifier: Apache-2.0
// Whose a process was that has ended: records of it can come after its end. The oldest are
// forgotten. One owner, one thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <deque>
#include <optional>

namespace bulkhead {

class PastRuns {
 public:
  // The supervisor reads 256 records a turn of its loop and takes several turns for one run, and
  // the kernel's queue and its socket hold some 18,000: far fewer runs end while one waits.
  static constexpr size_t kMost = 4096;

  void Add(pid_t pid, size_t owner) {
    runs_.push_front({pid, owner});
    if (runs_.size() > kMost) runs_.pop_back();
  }

  // Numbers are used again: the last one to have it.
  std::optional<size_t> Find(pid_t pid) const {
    for (const Run& run : runs_) {
      if (run.pid == pid) return run.owner;
    }
    return std::nullopt;
  }

 private:
  struct Run {
    pid_t pid;
    size_t owner;
  };
  std::deque<Run> runs_;  // newest first
};

}  // namespace bulkhead
