// SPDX-License-Identifier: Apache-2.0
// A channel of kind `connected`: a stream that is connected to a listener of the server, for one
// run of the client. The server sees the uid, gid and groups of the client, or its own where the
// policy says so, and no process: the pid of its peer is the supervisor's, 0 in the server's
// namespace. Neither end of it leads anywhere else. Never waits: a unix stream is connected at once
// or not at all (unix(7); EAGAIN where the queue of the listener is full). One thread.
#pragma once

#include <tl/expected.hpp>

#include "engine/edges.h"
#include "profiles/bundle.h"

namespace bulkhead {

// `from` and `to` are the ends of `channel`. In blocking mode. Fails where nobody listens, and
// where it is anybody else than `to`: a component that makes its socket itself may put what it
// likes in the socket's place.
tl::expected<Fd, EdgeError> ConnectChannel(const Channel& channel, const Profile& from,
                                           const Profile& to);

}  // namespace bulkhead
