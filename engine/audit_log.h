// SPDX-License-Identifier: Apache-2.0
// The audit log of one supervisor run: numbers events, folds floods, chains lines by hash and
// writes them to every sink. Each sink has a chain of its own (the same as long as none fails), so
// a line that could not be written leaves no gap: its events are counted, and the first line that
// goes through again is a loss record with their exact number.
//
// Folding: the first refusal of a kind (component, kind, control, action, object, verdict,
// errno, rule) is written at once; identical ones that follow are counted and written as one record
// a second. At most kMaxFoldKeys kinds and kMaxFoldBytes bytes are held; what does not fit flushes
// the table.
//
// A component that varies its refused calls cannot fill the disk: each has a budget of records
// (kBurst at once, kRefill a second). What is over it is counted in one record a second for each
// kind, control and verdict, whose action and object are kSeveral. Counts stay exact.
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

#include "engine/audit_chain.h"
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
  uint64_t lost = 0;     // events some sink did not take, reported since or not
};

class AuditLog {
 public:
  static constexpr size_t kMaxFoldKeys = 1024;
  static constexpr size_t kMaxFoldBytes = 1U << 20;
  static constexpr uint64_t kFoldWindow = 1000000000;  // ns
  static constexpr uint64_t kBurst = 1024;             // records of one component
  static constexpr uint64_t kRefill = 16;              // records a second
  static constexpr std::string_view kSeveral = "(several)";

  // Opens every sink (at least one) and writes log-open to each; the first failure is final.
  static tl::expected<AuditLog, SinkError> Open(const std::vector<Sink>& sinks,
                                                const Digest& bundle, std::string boot,
                                                AuditClock clock = SystemAuditClock());
  AuditLog(AuditLog&&) = default;
  AuditLog& operator=(AuditLog&&) = delete;
  ~AuditLog() { Close(); }

  // The sequence number in the first sink, 0 if the event was folded into a later record or could
  // not be written.
  uint64_t Append(Event event);

  // Writes the folded counts whose second is over, and owed loss records.
  void Tick();

  // Ends with log-close. True if every sink holds every event or a record of its loss.
  bool Close();

  // Opens file sinks again after a rotation and starts the new file with log-reopen. The old file
  // stays in use where that fails; the first failure is returned.
  tl::expected<void, SinkError> Reopen();

  const AuditCounters& counters() const { return counters_; }
  const ChainPoint& head() const { return head_; }  // of the first sink

 private:
  struct Output {
    Output(AuditSink opened, const ChainPoint& start) : sink(std::move(opened)), point(start) {}
    AuditSink sink;
    ChainPoint point;
    uint64_t lost = 0;  // events since the last loss record
    uint64_t lost_records = 0;
    int error = 0;  // of the first write that failed
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

  AuditLog(std::string boot, AuditClock clock) : boot_(std::move(boot)), clock_(clock) {}
  Event Stamp(Event event) const;
  int WriteTo(Output& output, const Event& event);
  bool PayLoss(Output& output);
  bool Deliver(Output& output, const Event& event);
  uint64_t Emit(const Event& event);
  // Takes one record from the component's budget; false if nothing is left.
  bool Spend(const std::string& component, uint64_t now);
  uint64_t AppendFolded(Event event);
  uint64_t AddTo(Fold& fold, Event event);
  void FlushFolds(uint64_t older_than);
  void Lifecycle(Output& output, std::string_view action, std::string object);

  std::string boot_;
  AuditClock clock_;
  std::vector<Output> outputs_;
  std::map<Digest, Fold> folds_;
  size_t fold_bytes_ = 0;
  std::map<std::string, Budget> budgets_;  // as many as the policy has components
  AuditCounters counters_;
  ChainPoint head_;
};

}  // namespace bulkhead
