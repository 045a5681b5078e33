// SPDX-License-Identifier: Apache-2.0
// What is the same for all runs of a component's view, put together once: a mount namespace that no
// process is in, which runs copy. A copy is one call instead of two for each file, and the
// machine's own mounts are not in it. Single-threaded. Sources: mount_namespaces(7), setns(2).
#pragma once

#include <sys/types.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "sandbox/kernel.h"
#include "sandbox/view.h"

namespace bulkhead {

class PreparedView {
 public:
  // Forks a process that puts it together, and waits for it: it does nothing but the operations,
  // which touch names and no contents. `staging` as for ApplyView. An error is a step's, as of a
  // launch, its index one of `split.shared`.
  static tl::expected<PreparedView, Failure> Make(Kernel& kernel, const std::string& staging,
                                                  const SplitOps& split, int tripwires);
  PreparedView(PreparedView&& other) noexcept;
  PreparedView& operator=(PreparedView&& other) noexcept;
  ~PreparedView();

  // Whether it is what would be made now: the same operations, on the same files.
  bool Fits(const SplitOps& split) const;
  int mount_namespace() const { return namespace_; }

 private:
  using Identity = std::pair<dev_t, ino_t>;
  PreparedView(int fd, std::vector<ViewOp> shared);
  static std::vector<Identity> SourcesOf(const std::vector<ViewOp>& ops);

  int namespace_ = -1;
  std::vector<ViewOp> shared_;
  std::vector<Identity> sources_;
};

}  // namespace bulkhead
