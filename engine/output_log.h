// SPDX-License-Identifier: Apache-2.0
// Where lines go that are no audit records: what components write, to every sink of the policy's
// `output`, and what the supervisor says of itself, to standard error. The sinks are those of the
// audit log (engine/audit_sink.h), and standard output is the very same one where both write there:
// each line is written whole, and what a slow reader is owed of one comes before the next, so that
// no component ends another's line or an audit record with its own words.
//
// Nothing waits for a sink. What one does not take at once is held, kMaxHeld bytes of whole lines;
// of one component kMaxShare, so that who floods a slow sink loses its own lines. What can't be
// held is lost and counted by component: the count stands in the sink itself, in a line of the
// supervisor's, where the lines would have stood; and TakeLosses has it for the audit log.
//
// A stream that was away is sent its last lines again (engine/audit_stream.h).
//
// One owner, one thread; the process ignores SIGPIPE. Call Advance once a second, and at Due.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/audit_sink.h"
#include "profiles/bundle.h"

namespace bulkhead {

struct OutputLoss {
  std::string sink;
  std::string component;  // empty: the supervisor's own, or not known
  uint64_t lines = 0;
  int error = 0;  // the last answer of the sink
};

class OutputLog {
 public:
  static constexpr size_t kMaxHeld = 256 * 1024;
  static constexpr size_t kMaxShare = kMaxHeld / 4;
  static constexpr uint64_t kAgain = 50;          // ms, until a slow reader is tried again
  static constexpr uint64_t kSaidEvery = 60'000;  // ms, between two losses of one component

  // Opens every sink; the first failure is final. `audit` is the audit log's sink of standard
  // output, or null; it outlives this, up to Close. `plain`: no name before a line on standard
  // output and error, unless the audit log is there, too.
  static tl::expected<OutputLog, SinkError> Open(const OutputPlan& plan,
                                                 std::vector<std::string> components,
                                                 AuditSink* audit, bool plain,
                                                 Dial dial = DialSink);

  // `lines` are whole ones of one component, each with `label` bytes before it. `err`: they came by
  // standard error.
  void Write(size_t component, bool err, std::string_view lines, size_t label, uint64_t now);

  // A line of the supervisor's own, without its newline.
  void Say(std::string_view line, uint64_t now);

  // Writes what is held, as far as it is taken. `now` in ms.
  void Advance(uint64_t now);

  // When a sink that somebody reads slowly is to be tried again; 0: nothing is held for one.
  uint64_t due() const { return due_; }

  // What was lost and is not told yet: of one component and sink once in kSaidEvery.
  std::vector<OutputLoss> TakeLosses(uint64_t now);

  // Opens files again after a rotation, as the audit log does.
  tl::expected<void, SinkError> Reopen();

  // Readers get two seconds in all. What is lost then counts as the supervisor's. What is said
  // after this goes to standard error as it is.
  std::vector<OutputLoss> Close();

 private:
  struct Share {  // of one component
    size_t held = 0;
    uint64_t lost = 0;       // and not said in the sink
    uint64_t untold = 0;     // and not told to the audit log
    uint64_t next_told = 0;  // when it may be
  };
  struct Output {
    std::string name;
    std::optional<AuditSink> own;
    AuditSink* shared = nullptr;  // where there is none of its own
    std::string held;             // whole lines
    std::vector<Share> shares;    // of each component, then of the supervisor
    int error = 0;
    AuditSink& sink() { return own ? *own : *shared; }
  };

  OutputLog() = default;
  tl::expected<void, SinkError> OpenStandard(AuditSink* audit);
  Output& Standard(bool err);
  void Add(Output& output, size_t source, std::string_view line);
  std::string_view NameOf(size_t source) const;
  bool SayLost(Output& output, size_t source);
  void Flush(Output& output, uint64_t now);
  bool WaitForReader();

  std::vector<std::string> components_;
  std::vector<Output> outputs_;  // standard output; standard error where it is another; the others
  size_t others_ = 0;            // index of the first of these
  bool standard_ = false;        // the policy names it
  bool plain_ = false;
  uint64_t due_ = 0;
};

}  // namespace bulkhead
