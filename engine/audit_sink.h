// SPDX-License-Identifier: Apache-2.0
// Where lines of the audit log and of components' output go: a file, standard output, or a stream
// socket (engine/audit_stream.h). A line arrives whole or not at all, so that a full disk leaves no
// torn line in the chain; nothing here waits for a reader. Writing to a regular file may still wait
// for its disk. A file is brought to the disk when it is opened and at the end; in between the
// kernel is told to begin with it, and not waited for. One owner, one thread; the process ignores
// SIGPIPE.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "engine/audit_stream.h"
#include "profiles/bundle.h"

namespace bulkhead {

struct SinkError {
  std::string step;    // "mkdir", "open", "check", "write"
  int error = 0;       // errno
  std::string object;  // path
};

class AuditSink {
 public:
  // A file is created with mode 0600 in a directory of mode 0700 that is made if missing; an
  // existing one must be a regular file with one link, owned by this user, in a directory that
  // nobody else can write. An unfinished last line, left by a crash, is ended, also on
  // standard output: of a terminal, which can't be looked at, in any case. A stream must have
  // somebody who listens; being let in is waited for, five seconds at most. With `most` bytes a
  // file that would become larger is renamed to its path and kOldSuffix, in the place of what is
  // there, and a new one is begun.
  static tl::expected<AuditSink, SinkError> Open(const Sink& sink, Dial dial = DialSink,
                                                 uint64_t most = 0);

  // Standard output or standard error, by its number. All who write lines there must do so by one
  // sink: what one of them owes would otherwise be torn by another's.
  static tl::expected<AuditSink, SinkError> OpenStandard(int number);

  AuditSink(AuditSink&& other) noexcept;
  AuditSink& operator=(AuditSink&& other) noexcept;
  ~AuditSink();

  // 0, or the errno with which nothing of the line was kept: of several lines at once, of none of
  // them. A pipe that took a part is owed the rest, which goes out before anything else. `now` is
  // any steady clock, in ns.
  int Write(std::string_view line, uint64_t now);

  // What can be done without a line: 0 if one would be tried and nothing is owed.
  int Advance(uint64_t now);

  // Waits for who reads it, at most `milliseconds`; false: a file, of which there is none.
  bool Wait(int milliseconds) const;

  // Has the kernel begin to bring a file to the disk; with `wait`, until it is there.
  void Settle(bool wait) const;

  // Opens the path again (log rotation). On an error the old file stays in use.
  tl::expected<void, SinkError> Reopen();

  // "file:/var/log/bulkhead/audit.jsonl", "stdout", "unix:/run/collector", "vsock:3:9001".
  std::string Name() const;
  // Who writes records here has some that it did not take: others who write here are to wait.
  void set_behind(bool behind) { behind_ = behind; }
  bool behind() const { return behind_; }
  bool is_file() const { return sink_.kind == SinkKind::kFile; }
  bool is_stdout() const { return sink_.kind == SinkKind::kStdout; }

 private:
  AuditSink(Sink sink, int fd) : sink_(std::move(sink)), fd_(fd) {}
  AuditSink(Sink sink, AuditStream stream) : sink_(std::move(sink)), stream_(std::move(stream)) {}
  static tl::expected<AuditSink, SinkError> OpenStream(const Sink& sink, Dial dial);
  int WriteFile(std::string_view line);
  int Rotate();
  int WriteStream(std::string_view line);
  int PayDebt();

  bool behind_ = false;
  Sink sink_;
  uint64_t most_ = 0;  // bytes of a file; 0: no limit
  int fd_ = -1;
  std::string owed_;  // at most one line
  std::optional<AuditStream> stream_;
};

}  // namespace bulkhead
