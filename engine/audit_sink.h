// SPDX-License-Identifier: Apache-2.0
// Where audit lines go: a file or standard output. A line arrives whole or not at all, so that a
// full disk leaves no torn line in the chain; nothing here waits for a reader. Writing to a
// regular file may still wait for its disk. One owner, one thread; the process ignores SIGPIPE.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

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
  // nobody else can write. An unfinished last line, left by a crash, is ended.
  static tl::expected<AuditSink, SinkError> Open(const Sink& sink);

  AuditSink(AuditSink&& other) noexcept;
  AuditSink& operator=(AuditSink&& other) noexcept;
  ~AuditSink();

  // 0, or the errno with which nothing of the line was kept. A pipe that took a part of the line
  // is owed the rest, which goes out before anything else.
  int Write(std::string_view line);

  // Opens the path again (log rotation). On an error the old file stays in use.
  tl::expected<void, SinkError> Reopen();

  // "file:/var/log/bulkhead/audit.jsonl" or "stdout".
  std::string Name() const;
  bool is_file() const { return sink_.kind == SinkKind::kFile; }

 private:
  AuditSink(Sink sink, int fd) : sink_(std::move(sink)), fd_(fd) {}
  int WriteFile(std::string_view line) const;
  int WriteStream(std::string_view line);
  int PayDebt();

  Sink sink_;
  int fd_ = -1;
  std::string owed_;  // at most one line
};

}  // namespace bulkhead
