// SPDX-License-Identifier: Apache-2.0
// Which process a Landlock refusal belongs to, and whether any went missing. The kernel names the
// maker of a domain in a record of its own, after the domain's first refusal; it says at the
// domain's end how many refusals there were. This table joins the two, with bounded memory:
// refusals wait for their domain's record at most kMaxWait, then go out without a pid.
// Whose the maker is, is asked once, as the domain's record comes: the domain outlives it, and its
// number may be another process's by then.
// Pure (time comes in as an argument), one owner, one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "engine/landlock_record.h"
#include "engine/seccomp_record.h"

namespace bulkhead {

inline constexpr int32_t kNobody = -1;

struct LandlockDenial {
  LandlockAccess access;
  int32_t pid = 0;          // of the domain's maker, 0 if its record has not been seen
  int32_t owner = kNobody;  // what LandlockHandler::owner said of it
};

struct LandlockDomainEnd {
  uint64_t domain = 0;
  int32_t pid = 0;
  int32_t owner = kNobody;
  uint64_t denials = 0;   // the kernel's count, but for the quiet ones
  uint64_t received = 0;  // ours; fewer means that records were lost
};

struct LandlockHandler {
  std::function<void(const LandlockDenial&)> denial;
  std::function<void(const LandlockDomainEnd&)> end;
  std::function<void(const SeccompKill&)> killed;  // from the same stream of records; may be empty
  // Whose the process is, of the handler's own numbers, or kNobody; may be empty. `uid`: what the
  // process had when it made the domain.
  std::function<int32_t(int32_t pid, uint32_t uid)> owner;
  // How many refusals of a domain of this owner leave no record; may be empty.
  std::function<uint64_t(int32_t owner)> quiet;
};

struct LandlockCounters {
  uint64_t denials = 0;       // handed to the handler
  uint64_t unattributed = 0;  // those without a pid
  uint64_t missing = 0;       // refusals that ended domains had and we never received
  uint64_t forgotten = 0;     // domains dropped because the table was full
};

class LandlockDomains {
 public:
  // About 100 bytes each. Of whom there are most the oldest goes: a domain lives on with whatever
  // has its credentials, such as a connection that nobody accepts, so one owner can have many, and
  // must not make the others' forgotten.
  static constexpr size_t kMaxDomains = 8192;
  static constexpr size_t kMaxHeld = 256;
  static constexpr uint64_t kMaxWait = 1000000000;  // ns

  void Take(LandlockRecord record, uint64_t now, const LandlockHandler& handler);

  // Hands out what has waited longer than kMaxWait.
  void Expire(uint64_t now, const LandlockHandler& handler);
  // Hands out all that waits.
  void Flush(const LandlockHandler& handler);

  size_t size() const { return domains_.size(); }
  const LandlockCounters& counters() const { return counters_; }

 private:
  struct Domain {
    int32_t pid = 0;
    int32_t owner = kNobody;
    uint64_t received = 0;
    uint64_t order = 0;
  };
  struct Held {
    LandlockAccess access;
    uint64_t since = 0;
  };

  Domain& Find(uint64_t id);
  void ForgetOne();
  void Access(LandlockAccess access, uint64_t now, const LandlockHandler& handler);
  void Begin(const LandlockDomainNews& news, const LandlockHandler& handler);
  void End(const LandlockDomainNews& news, const LandlockHandler& handler);
  void HandOutHeld(uint64_t domain, const LandlockHandler& handler);
  void Deliver(LandlockAccess access, const LandlockHandler& handler);

  std::map<uint64_t, Domain> domains_;
  std::map<int32_t, size_t> owned_;  // how many domains are whose
  std::deque<Held> held_;            // oldest first
  uint64_t next_order_ = 0;
  LandlockCounters counters_;
};

}  // namespace bulkhead
