// SPDX-License-Identifier: Apache-2.0
// Tells the service manager that started the supervisor how it stands, by the protocol of
// sd_notify(3): datagrams to the unix socket that NOTIFY_SOCKET names. What the environment says
// decides about these datagrams and nothing else. As PID 1 there is no manager, and it is not read.
//
// Never waits: what the manager's queue does not take is sent again with the next Tick. A manager
// that is gone is nobody's loss. One owner, one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/fd.h"

namespace bulkhead {

// The address as sd_notify(3) reads it: a path, or `@` and an abstract name. Empty where it is
// neither, as of a vsock socket: then nobody is told.
std::string NotifyAddress(const char* notify_socket);

class ServiceNotify {
 public:
  ServiceNotify() = default;  // tells nobody
  // `pid` is our own. Variables that are null are not set.
  ServiceNotify(int pid, const char* notify_socket, const char* watchdog_usec,
                const char* watchdog_pid);

  // All components have been ready; said once.
  void Ready();
  // It ends; said once, and nothing but status and watchdog after it.
  void Stopping();
  // A line for people, sent when it is another than the last one.
  void Status(std::string_view text);
  // About once a second: what was not taken, and WATCHDOG=1 where the manager counts the time.
  void Tick();

  bool has_manager() const { return static_cast<bool>(socket_); }
  bool watched() const { return watched_; }

 private:
  void Send(std::string_view state);

  std::string address_;
  Fd socket_;
  bool watched_ = false;
  bool ready_ = false;
  bool stopping_ = false;
  std::string status_;
  std::string unsent_;  // lines, each kind at most once
};

}  // namespace bulkhead
