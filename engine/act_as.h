// SPDX-License-Identifier: Apache-2.0
// Acting under a component's ids for one scope, so that what is made in it carries the component's
// identity: unix(7), SO_PEERCRED and SO_PEERGROUPS. The real and saved ids stay root's, so the way
// back is open and no process of that uid can signal or trace the supervisor. One thread; scopes
// don't nest. The caller has no supplementary groups outside of a scope.
#pragma once

#include <grp.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include <cstdlib>

#include "profiles/profile.h"

namespace bulkhead {

class ActAs {
 public:
  explicit ActAs(const Profile& profile) {
    ok_ = setgroups(profile->groups.size(), profile->groups.data()) == 0 &&
          setegid(profile->gid) == 0 && seteuid(profile->uid) == 0;
  }
  ~ActAs() {
    // Staying somebody else would be worse than ending. seteuid gives fsuid and capabilities back.
    if (seteuid(0) != 0 || setegid(0) != 0 || setgroups(0, nullptr) != 0) std::abort();
  }
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;
  bool ok() const { return ok_; }

  // From here on files are opened and sockets found as root does: setfsuid(2). Who we are to a
  // peer stays as it is.
  bool FindAsRoot() {
    setfsuid(0);
    return setfsuid(static_cast<uid_t>(-1)) == 0;
  }

 private:
  bool ok_ = false;
};

}  // namespace bulkhead
