// SPDX-License-Identifier: Apache-2.0
// PID 1 of a component's namespaces. It builds the view and the Landlock ruleset, forks the
// component, gives up everything but CAP_KILL inside its namespace and its sockets, and then only
// forwards signals, reaps, reads the readiness socket and reports. The supervisor never reads that
// socket itself: a message can carry descriptors, and closing one of these can take as long as its
// sender likes (SO_LINGER); so it costs this component's reaper alone. When it ends, for whatever
// reason, the kernel kills everything in the namespace; it ends when the component's process ends,
// when the supervisor's end of the socket is closed, and by SIGKILL when the supervisor dies.
#pragma once

#include "sandbox/launch.h"

namespace bulkhead {

struct ReaperDescriptors {
  int control = -1;
  int handshake = -1;  // the component's ends
  int installed = -1;
};

// Never returns. Called in the clone, single-threaded; does not allocate.
[[noreturn]] void RunReaper(Kernel& kernel, const LaunchPlan& plan, ReaperDescriptors fds);

// The supervisor's side, without waiting: the bytes of one message, 0 after the reaper's end, or -1
// with errno. Of a reaper that ended with an order unread the kernel tells first (ECONNRESET,
// unix_release_sock), and gives what it had said after that.
ssize_t TakeMessage(int control, ReaperMessage& message);

// The reaper's own filter, for the architecture this is built for: anything it does not need kills
// it, and its namespace with it.
const Filter& ReaperFilter();

}  // namespace bulkhead
