// SPDX-License-Identifier: Apache-2.0
// What a sink did not take while it was full, blocked or away: events folded by identity
// (component, kind, control, action, object, verdict, errno, rule), each with its first and last
// time and its exact count. At most kMaxKinds kinds and kMaxBytes bytes are held as they are; what
// is over that is held without action and object, as kSeveral, and what is over kMaxCoarse such
// kinds only as a number. Counts stay exact in each case. One owner, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "engine/event.h"
#include "profiles/digest.h"

namespace bulkhead {

// What stands for an action and object that were not kept.
inline constexpr std::string_view kSeveral = "(several)";

// The identity of an event: two with the same are one with another count.
Digest EventIdentity(const Event& event);

// Bytes that an event holds in memory, about.
size_t HeldBytes(const Event& event);

struct Backlogged {
  Event event;  // the last of them, with the count of all
  uint64_t first = 0;
  uint64_t last = 0;  // times, ns of the boot clock
};

class AuditBacklog {
 public:
  static constexpr size_t kMaxKinds = 512;
  static constexpr size_t kMaxBytes = 512 * 1024;
  static constexpr size_t kMaxCoarse = 256;

  void Add(const Event& event);
  bool empty() const { return held_.empty() && coarse_.empty() && unheld_ == 0; }

  // The one that began first; Pop it when it is written.
  const Backlogged* Front() const;
  void Pop();
  // Events that are held only as a number; Forget them when that is written.
  uint64_t unheld() const { return unheld_; }
  void ForgetUnheld() { unheld_ = 0; }

 private:
  using Held = std::map<Digest, Backlogged>;
  static bool Join(Held& held, const Digest& key, const Event& event);
  static Held::const_iterator Oldest(const Held& held);

  Held held_;
  Held coarse_;
  size_t bytes_ = 0;
  uint64_t unheld_ = 0;
};

}  // namespace bulkhead
