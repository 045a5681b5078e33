// SPDX-License-Identifier: Apache-2.0
// The supervisor's end of a component's seccomp filter: receiving refused calls and answering them
// from registers alone. It never reads the component's memory, so nothing here can block on it.
// Sources: seccomp_unotify(2), kernel/seccomp.c. Single-threaded.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "engine/fd.h"
#include "profiles/filter.h"

namespace bulkhead {

struct Notification {
  uint64_t id = 0;
  pid_t pid = 0;  // in the supervisor's PID namespace
  SeccompData data;
};

enum class Answer : uint8_t { kRefuse, kAbsent, kContinue };

class SeccompListener {
 public:
  SeccompListener() = default;
  // Takes descriptor `number` of the process behind `pidfd`; empty if it is not a listener.
  static std::optional<SeccompListener> Take(int pidfd, int number);

  int fd() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }

  enum class State : uint8_t {
    kCall,     // a refused call was received
    kNothing,  // none is waiting any more: its caller died or was interrupted
    kClosed,   // nobody is left under the filter, and nobody will be
  };
  // Takes the next call, and never waits for one. The ioctl alone would: it has no non-blocking
  // mode, and before Linux 6.11 it waits for ever when all users of the filter are gone.
  State Receive(Notification& notification) const;
  // The same where poll(2) or epoll(7) has just said `revents` of it.
  State Receive(Notification& notification, uint32_t revents) const;

  // Whether the answer was taken; false when the caller has died, which refuses as well.
  // kContinue lets the kernel run the call: only ever for the launch's own exec, whose memory no
  // other process shares yet, for what registers alone decide, and where nothing is decided
  // (engine/observer.h).
  bool Respond(const Notification& notification, Answer answer) const;
  // The call was made for the caller: its result, or minus an errno.
  bool RespondResult(const Notification& notification, int64_t result) const;
  // Whether the caller still waits: if so its pid has been its own until now, and what was read of
  // it was its.
  bool IsValid(const Notification& notification) const;

 private:
  explicit SeccompListener(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace bulkhead
