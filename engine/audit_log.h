// SPDX-License-Identifier: Apache-2.0
// The audit log of one supervisor run: numbers events, folds floods, chains lines by hash and
// writes them to every sink. Each sink has a chain of its own (the same as long as none fails), so
// a line that could not be written leaves no gap in the numbers.
//
// Folding: the first refusal or brokered call of a kind (component, kind, control, action, object,
// verdict, errno, rule) is written at once; identical ones that follow are counted and written as
// one record a second. At most kMaxFoldKeys kinds and kMaxFoldBytes bytes are held; what does not
// fit flushes the table.
//
// What a sink does not take (a full disk, a receiver that is away or does not read) is folded in a
// backlog of its own (engine/audit_backlog.h). When the sink takes lines again, these come first,
// and then a signed record `log-gap`, which says how many events came late so. Only what the
// backlog can't hold is lost, and is a loss record with the exact number.
//
// A component that varies its refused calls cannot fill the disk: each has a budget of records
// (kBurst at once, kRefill a second), and a second one for what the broker allowed: many of these
// take no refusal's record. What is over it is counted in one record a second for each
// kind, control and verdict, whose action and object are kSeveral. Counts stay exact.
//
// What the log says of itself is signed by a key of this run (engine/audit_key.h): its opening and
// closing, each new file's beginning, and checkpoints in between (engine/audit_chain.h says how
// often). These carry the counters, and are no events: what they stand for is not counted.
//
// One owner, one thread (the supervisor's loop). Call Tick about once a second, Close at the end;
// the destructor closes too. Memory is bounded, nothing waits for a reader of a pipe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "engine/audit_backlog.h"
#include "engine/audit_chain.h"
#include "engine/audit_key.h"
#include "engine/audit_sink.h"
#include "engine/event.h"
#include "profiles/bundle.h"
#include "profiles/digest.h"

namespace bulkhead {

struct AuditClock {  // nanoseconds
  uint64_t (*boot)();
  uint64_t (*claimed)();
};
AuditClock SystemAuditClock();

// /proc/sys/kernel/random/boot_id without its newline; empty if it cannot be read.
std::string ReadBootId();

struct AuditCounters {
  uint64_t events = 0;   // given to Append, by their counts
  uint64_t records = 0;  // written to the first sink
  uint64_t folded = 0;   // events that stand in a record with others
  uint64_t missed = 0;   // events that some sink did not take when they were made
};

class AuditLog {
 public:
  static constexpr size_t kMaxFoldKeys = 1024;
  static constexpr size_t kMaxFoldBytes = 1U << 20;
  static constexpr uint64_t kFoldWindow = 1000000000;  // ns
  static constexpr uint64_t kBurst = 1024;             // records of one component
  static constexpr uint64_t kRefill = 16;              // records a second

  // Makes the key, opens every sink (at least one) and writes log-open to each; the first failure
  // is final.
  static tl::expected<AuditLog, SinkError> Open(const std::vector<Sink>& sinks,
                                                const Digest& bundle, std::string boot,
                                                AuditClock clock = SystemAuditClock(),
                                                Dial dial = DialSink);
  AuditLog(AuditLog&&) = default;
  AuditLog& operator=(AuditLog&&) = delete;
  ~AuditLog() { Close(); }

  // The sequence number in the first sink, 0 if the event was folded into a later record or could
  // not be written. Its time is now, unless it is given.
  uint64_t Append(Event event);

  // Writes the folded counts whose second is over, what sinks did not take before, and checkpoints
  // where one is due.
  void Tick();

  // Ends with log-close. A receiver that does not read gets two seconds. True if every sink holds
  // every event or a record of its loss.
  bool Close();

  // Opens file sinks again after a rotation and starts the new file with log-reopen. The old file
  // stays in use where that fails; the first failure is returned.
  tl::expected<void, SinkError> Reopen();

  struct SinkState {
    std::string name;
    uint64_t behind = 0;  // events that it did not take and still is to get, folded
    uint64_t missed = 0;  // all that it did not take at once, in this run
    uint64_t lost = 0;    // those that could not be kept for it, in this run
    int error = 0;        // why, of what it is behind with
  };
  std::vector<SinkState> Sinks() const;

  // Null: none of the sinks is standard output. It lives until Close.
  AuditSink* StandardOutput();

  const AuditCounters& counters() const { return counters_; }
  const ChainPoint& head() const { return head_; }  // of the first sink
  // By which this run's records are to be judged; to be told to others before anything is logged.
  const PublicKey& public_key() const { return key_.public_key(); }

 private:
  struct Gap {  // since a sink did not take a line, until it has taken all again
    uint64_t events = 0;
    uint64_t records = 0;  // lines that these would have been
    uint64_t entries = 0;  // lines that they have become, so far
    uint64_t unheld = 0;   // events that are lost
    uint64_t first = 0;
    uint64_t last = 0;  // times of the events
    int error = 0;      // of the first write that failed
  };
  struct Output {
    Output(AuditSink opened, const ChainPoint& start) : sink(std::move(opened)), point(start) {}
    AuditSink sink;
    ChainPoint point;
    AuditBacklog backlog;
    Gap gap;
    uint64_t all_missed = 0;
    uint64_t all_lost = 0;  // events that the backlog could not hold, in this run
    uint64_t unsigned_records = 0;
    uint64_t unsigned_since = 0;  // time of the first of them
    bool reopened = false;        // the new file does not say yet where it goes on
  };
  struct Fold {
    Event event;  // the last one; its count is what is not yet written
    uint64_t since = 0;
    bool several = false;  // what was over its component's budget
  };
  struct Budget {
    uint64_t records = kBurst;
    uint64_t since = 0;  // when it was last refilled
  };

  AuditLog(AuditKey key, std::string boot, AuditClock clock)
      : key_(std::move(key)), boot_(std::move(boot)), clock_(clock) {}
  Event Stamp(Event event) const;
  int Put(Output& output, const ChainedLine& linked);
  // Writes a record of the log about itself, signed; 0 or an errno.
  int WriteOwn(Output& output, std::string_view action, std::string object = {},
               std::vector<EventField> extra = {}, int about = 0);
  int WriteDue(Output& output, uint64_t now);
  int WriteGap(Output& output);
  bool Finish(Output& output);
  int WriteTo(Output& output, const Event& event);
  // Writes what the sink did not take before; 0: nothing is left of it.
  int CatchUp(Output& output);
  bool Deliver(Output& output, const Event& event);
  uint64_t Emit(const Event& event);
  // Takes one record from the budget of the event's component; false if nothing is left.
  bool Spend(const Event& event, uint64_t now);
  uint64_t AppendFolded(Event event);
  uint64_t AddTo(Fold& fold, Event event);
  void FlushFolds(uint64_t older_than);

  AuditKey key_;
  std::string boot_;
  AuditClock clock_;
  std::vector<Output> outputs_;
  std::map<Digest, Fold> folds_;
  size_t fold_bytes_ = 0;
  std::map<std::string, Budget> budgets_, brokered_budgets_;  // of the policy's components
  AuditCounters counters_;
  ChainPoint head_;
};

}  // namespace bulkhead
