// SPDX-License-Identifier: Apache-2.0
// What the supervisor lays out for the components before they start: the directories of unix
// edges, the listeners it hands over, the readiness sockets, the ends of channels. All of it lives
// as long as the supervisor, so that a restarted component finds the same sockets. Single-threaded.
#pragma once

#include <tl/expected.hpp>

#include <map>
#include <string>
#include <vector>

#include "engine/fd.h"
#include "profiles/bundle.h"
#include "sandbox/connect_guard.h"

namespace bulkhead {

struct EdgeError {
  std::string step;
  int error = 0;  // errno
  std::string object;
};

struct NamedFd {
  std::string name;
  Fd fd;
};

// A component's descriptors 3, 4, …: its listeners in profile order, then its channel ends sorted
// by name, then a copy of each secret, sorted by name. Listeners are bound, not listening: the
// component's own process calls listen(2). The end of a channel of kind `connected` has no
// descriptor here: each run is given a new one (engine/connect_channel.h).
struct Handover {
  std::vector<NamedFd> fds;
  std::vector<NamedFd> secrets;  // as ReadSecret gave them: to be copied for each run
  std::string notify_directory;  // of the readiness socket, bound into the view; empty: none
};

// The owner of the directories a component makes sockets in is that component; all others belong
// to root. `guard` is for guarded listeners, null where there are none. Existing directories are
// taken over only when root owns their parent.
tl::expected<std::map<std::string, Handover>, EdgeError> LayOut(const Bundle& bundle,
                                                                const std::string& run_directory,
                                                                const ConnectGuard* guard);

// A new readiness socket, for one run's reaper. Empty where the component needs none.
tl::expected<Fd, EdgeError> MakeNotifySocket(const Profile& profile, const Handover& handover);

// Makes the component's listeners listen under its uid, for the supervisor to accept from without
// waiting: clients see the component, and no process of it.
tl::expected<void, EdgeError> Listen(const Profile& profile, Handover& handover);

// Closes a socket that a component could use, without waiting for what closing it does. Where that
// can't be, it stays open.
void CloseElsewhere(Fd& fd);
// The same of what is no socket: each close(2) of one waits for its file system, also when another
// process has it open. The process that waits, a child; -1: there is none, and it stays open.
pid_t CloseFileElsewhere(Fd& fd);

// A listener lives as long as a run: what the run did to it (shut it down, a timeout, a buffer
// size, passed it on) ends with it, and until the next one clients are refused at once, whoever
// holds a copy. Connections that waited are lost.
void CloseListeners(const Profile& profile, Handover& handover);

// Opens what CloseListeners closed, in the mode that the policy states. Before each launch.
tl::expected<void, EdgeError> RestoreListeners(const Profile& profile, Handover& handover,
                                               const ConnectGuard* guard);

// The same for the sockets that a component makes itself: at the end of a run they are removed, as
// another component that was passed one would answer in its name. Of very many some are left, in a
// directory that is closed until the next start.
void CloseEdges(const Profile& profile);

// Opens those directories again, without the sockets that are left. Before each launch.
tl::expected<void, EdgeError> RestoreEdges(const Profile& profile);

}  // namespace bulkhead
