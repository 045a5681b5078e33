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
// by name. Listeners are bound, not listening: the component's own process calls listen(2).
struct Handover {
  std::vector<NamedFd> fds;
  Fd notify;                     // the supervisor's end of the readiness socket
  std::string notify_directory;  // bound into the view
};

// The owner of the directories a component makes sockets in is that component; all others belong
// to root. Existing directories are taken over only when root owns their parent.
tl::expected<std::map<std::string, Handover>, EdgeError> LayOut(const Bundle& bundle,
                                                                const std::string& run_directory);

// Gives the listeners the mode that the policy states. It is the open socket's, so a run before may
// have left another.
tl::expected<void, EdgeError> SetListenerModes(const Profile& profile, const Handover& handover);

// Removes the socket that a dead component left where `ready: listening` looks for a new one.
void RemoveStaleSocket(const Profile& profile);

}  // namespace bulkhead
