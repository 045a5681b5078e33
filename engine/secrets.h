// SPDX-License-Identifier: Apache-2.0
// Secrets that the supervisor hands over: each is read once, before any component runs, and every
// run gets a sealed copy of its own, so that no run can leave another anything in it, a lock
// included. What is read is in memory files of the kernel and never in the supervisor's own memory
// for longer than a copy takes: its children start with a copy of that. Single-threaded.
#pragma once

#include <tl/expected.hpp>

#include <string>
#include <vector>

#include "engine/edges.h"
#include "profiles/profile.h"

namespace bulkhead {

// A regular file behind no link, of 1 to kMaxSecretBytes bytes; `limit` is there for tests. Errors:
// of the calls; ELOOP for a link, EINVAL for what is no regular file, ENODATA when it is empty,
// EFBIG when it is longer.
tl::expected<Fd, EdgeError> ReadSecret(const Secret& secret, size_t limit = kMaxSecretBytes);

// Of what ReadSecret gave: open for reading, at its beginning, root's and 0444, sealed against
// every change. Needs /proc.
tl::expected<Fd, EdgeError> CopyOf(const NamedFd& secret);

}  // namespace bulkhead
