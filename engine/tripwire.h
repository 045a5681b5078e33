// SPDX-License-Identifier: Apache-2.0
// Tripwires where Landlock leaves no audit records (kernels before 6.15): a fanotify group whose
// permission events hold every opening of a tripwire until it is refused here, and so recorded.
// What is opened is an empty file or directory of our own in a component's view; nothing else is
// marked. Closing the group would let a waiting opening through, to nothing but that empty thing.
// Sources: fanotify(7), fanotify_init(2): FAN_CLASS_CONTENT, FAN_OPEN_PERM (Linux 2.6.37).
// One owner, one thread; nothing here blocks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/fd.h"

namespace bulkhead {

struct TripwireAccess {
  uint64_t device = 0;         // st_dev: of the root tmpfs of the view in which it happened
  pid_t pid = 0;               // in the supervisor's PID namespace
  uint64_t pid_namespace = 0;  // engine/pid_namespace.h; it waited for its answer then
  std::string path;            // inside the view
};

class Tripwires {
 public:
  // Null with errno set when the kernel refuses.
  static std::unique_ptr<Tripwires> Open();

  int fd() const { return fd_.get(); }

  // Refuses the oldest waiting opening and tells of it; nullopt when none waits.
  std::optional<TripwireAccess> Next();

 private:
  explicit Tripwires(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace bulkhead
