// SPDX-License-Identifier: Apache-2.0
// A sink that somebody reads at its other end: a stream socket, unix or vsock. Connecting and
// writing never wait. A receiver that went away is called again, after kFirstWait, doubled up to
// kLongestWait.
//
// Nothing says how much of what was written a receiver has stored when it dies, so the last
// kSentAgain bytes of lines are kept and sent again over the next connection. Both kernels' buffers
// together hold less (unix: net.core.wmem_default; vsock: the receiver's buffer, 256 KiB unless it
// asks for more), so nothing is lost on the way; a receiver skips the records that it has, by their
// sequence. A line feed comes first, which ends a line that was torn. What it sends is not read. A
// line is taken whole or not at all, and only when none waits: at most one is on its way to the
// socket, none is queued beyond that.
//
// One owner, one thread; the process ignores SIGPIPE. Sources: unix(7), vsock(7), connect(2).
#pragma once

#include <cerrno>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "engine/fd.h"
#include "profiles/bundle.h"

namespace bulkhead {

// A socket that is connected, or is being connected, and never waits; or an errno, negative. Tests
// put another one in the place of DialSink, where no vsock may be used.
using Dial = int (*)(const Sink& sink);
int DialSink(const Sink& sink);

class AuditStream {
 public:
  static constexpr size_t kSentAgain = 512 * 1024;      // bytes
  static constexpr uint64_t kFirstWait = 100000000;     // ns
  static constexpr uint64_t kLongestWait = 5000000000;  // ns
  static constexpr uint64_t kConnectTime = 5000000000;  // ns, after which a call is given up

  AuditStream(Sink sink, Dial dial) : sink_(std::move(sink)), dial_(dial) {}

  // 0, or the errno for which the line was not taken. `now` is any steady clock, in ns.
  int Write(std::string_view line, uint64_t now);

  // Does what can be done without waiting: connects, sends what waits. 0: connected, nothing waits.
  int Advance(uint64_t now);

  // Waits until the socket takes something, or is connected, at most `milliseconds`.
  void Wait(int milliseconds) const;

 private:
  int Connect(uint64_t now);
  int Send(uint64_t now);
  int Drop(int error, uint64_t now);
  void Forget();

  Sink sink_;
  Dial dial_;
  Fd fd_;
  bool connected_ = false;
  bool again_ = false;   // it was connected before, and is owed the line feed
  uint64_t called_ = 0;  // when
  uint64_t wait_ = kFirstWait;
  uint64_t not_before_ = 0;       // when it is to be called again
  int error_ = ENOTCONN;          // why it is not connected
  std::deque<std::string> sent_;  // the last lines; those from `next_` on wait
  size_t bytes_ = 0;              // of these
  size_t next_ = 0;
  size_t offset_ = 0;  // what is sent of that one
};

}  // namespace bulkhead
