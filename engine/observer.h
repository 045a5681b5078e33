// SPDX-License-Identifier: Apache-2.0
// The calls of a component with `on-violation: observe`, which is for development: what its filter
// refuses is told and let pass, within outer bounds that hold all the same.
//
// Telling what a call is about means reading the caller's memory and following its paths, and
// either can wait for ever, so an observer is a process of its own, one for each run: it owns the
// filter's listener, and whoever makes it wait waits for itself alone. What it tells goes to the
// supervisor by a socket: each kind when it is first seen, then whenever its number has doubled,
// and at the end.
//
// What it reads is told and never decided on: the caller can change it before the kernel reads it
// again. Decisions (profiles/outer_bounds.h) are on registers alone.
//
// Lifetime: from the launch's exec until nobody is under the filter any more; it dies with the
// supervisor. Memory is bounded by kMaxKindBytes. One thread. Sources: seccomp_unotify(2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/fd.h"
#include "engine/listener.h"
#include "profiles/profile.h"

namespace bulkhead {

// Further ones are told as one.
inline constexpr size_t kMaxKinds = 16384;
inline constexpr size_t kMaxKindBytes = 16U << 20;

struct Observation {
  enum class Verdict : uint32_t { kPassed, kRefused, kAbsent };
  Verdict verdict = Verdict::kPassed;
  int32_t pid = 0;      // of the last caller, in the supervisor's namespace
  uint64_t count = 0;   // calls since the last time that this was told
  std::string control;  // seccomp, files or network
  std::string action;   // the call; what is done to a file; bind or connect
  std::string object;   // arguments as `request=0x5401`, a path, an address
  std::string real;     // files: the type, then the path without links
  std::string exe;
};

class Observer {
 public:
  // Forks; the parent's copy of the listener is the caller's to close. Empty: errno says why.
  static std::optional<Observer> Start(const SeccompListener& listener, const Profile& profile);

  int fd() const { return fd_.get(); }

  enum class State : uint8_t {
    kTold,
    kNothing,  // for now
    kEnded,    // all was told: nobody is under the filter
    kLost,     // the observer died before that
  };
  // Never waits.
  State Receive(Observation& observation);

 private:
  explicit Observer(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  bool whole_ = false;  // the last message has come
};

}  // namespace bulkhead
