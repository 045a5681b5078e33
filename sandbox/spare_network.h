// SPDX-License-Identifier: Apache-2.0
// A network namespace that is made before the run that gets it: making one takes longer than most
// of the rest of a launch. Nobody was ever in it but the supervisor, which makes no socket there,
// and one run takes it for itself. Sources: network_namespaces(7), setns(2).
//
// For a process of one thread, which goes into the new namespace and back. Not thread-safe.
#pragma once

#include "sandbox/kernel.h"

namespace bulkhead {

class SpareNetwork {
 public:
  SpareNetwork() = default;
  SpareNetwork(const SpareNetwork&) = delete;
  SpareNetwork& operator=(const SpareNetwork&) = delete;
  ~SpareNetwork() { Drop(); }

  // 0, or an errno and there is none. A process that does not come back into its own namespace is
  // aborted: all that it did from then on would be done in another one.
  int Make(Kernel& kernel);
  int fd() const { return fd_; }  // -1: none
  // Closes it: it belongs to a run by then, or is not needed.
  void Drop();

 private:
  int fd_ = -1;
};

}  // namespace bulkhead
