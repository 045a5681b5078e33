// SPDX-License-Identifier: Apache-2.0
// `bulkhead audit tail`: the last records of a log, and those that come.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <deque>
#include <optional>

#include "cli/audit_call.h"
#include "cli/audit_records.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/inputs.h"
#include "engine/audit_verify.h"
#include "engine/fd.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

constexpr int kPause = 200;  // ms between two looks at a file that is followed

// Reads a log to its end, again and again. Where the path leads to another file by then, the rest
// of the old one comes first; a file that has become shorter is read anew.
class Follower {
 public:
  explicit Follower(std::string path) : path_(std::move(path)) {}

  // 0, or the errno with which it can't be opened.
  int Open() {
    fd_ = Fd(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    offset_ = 0;
    return fd_ ? 0 : errno;
  }

  template <typename Take>
  void ReadOn(Take take) {
    ReadRest(take);
    if (!WasReplaced()) return;
    ReadRest(take);  // what was written between the two
    lines_.Clear();
    Open();
    ReadRest(take);
  }

 private:
  template <typename Take>
  void ReadRest(Take take) {
    std::string buffer(65536, '\0');
    ssize_t got = 0;
    while (fd_ && (got = pread(fd_.get(), buffer.data(), buffer.size(), offset_)) > 0) {
      offset_ += got;
      lines_.Feed(std::string_view(buffer.data(), static_cast<size_t>(got)), take);
    }
  }

  bool WasReplaced() const {
    struct stat now {};
    struct stat open {};
    if (stat(path_.c_str(), &now) != 0) return false;  // between a rotation's two steps
    if (!fd_ || fstat(fd_.get(), &open) != 0) return true;
    return now.st_dev != open.st_dev || now.st_ino != open.st_ino || now.st_size < offset_;
  }

  std::string path_;
  Fd fd_;
  off_t offset_ = 0;
  LineSplitter lines_;
};

class Tail {
 public:
  // `arch`: of the enclave, where it is known.
  Tail(RecordFilter filter, bool json, std::optional<Arch> arch)
      : filter_(std::move(filter)), json_(json), arch_(arch) {}

  // The line to print for one of the log; nothing: it is not asked for.
  std::optional<std::string> Line(std::string_view line) {
    if (line.empty()) return std::nullopt;
    // Where a stream broke one stands behind a torn one. What was changed is shown, too.
    const std::string_view whole = WholeRecordIn(line);
    const auto record = ParseRecord(whole.empty() ? line : whole);
    if (!record) {
      ++unreadable_;
      return std::nullopt;
    }
    known_ |= record->component == filter_.component;
    any_ = true;
    if (!filter_.Takes(*record)) return std::nullopt;
    taken_ = true;
    return json_ ? AsciiJson(record->json, -1) : RecordText(*record, TriedText(*record, arch_));
  }
  uint64_t unreadable() const { return unreadable_; }
  // Why nothing of what was read is asked for, empty where something is. A mistyped component or
  // statement looks like a quiet one.
  std::string WhyNothing() const {
    if (!known_ && !filter_.component.empty()) {
      return fmt::format("the log has no record of a component {}", Quoted(filter_.component));
    }
    return taken_ || !any_ ? "" : "no record of the log is what is asked for";
  }

 private:
  RecordFilter filter_;
  bool json_;
  std::optional<Arch> arch_;
  uint64_t unreadable_ = 0;
  bool any_ = false;
  bool known_ = false;
  bool taken_ = false;
};

bool PrintLast(Follower& log, Tail& tail, size_t wanted) {
  std::deque<std::string> last;
  log.ReadOn([&](std::string_view line) {
    if (auto text = tail.Line(line)) last.push_back(std::move(*text));
    if (last.size() > wanted) last.pop_front();
  });
  std::string out;
  for (const std::string& line : last) out += line;
  return PrintOut(out);
}

}  // namespace

int TailLog(const Invocation& invocation) {
  const std::string path = invocation.One(Parameter::kLog);
  auto filter = FilterOf(invocation, static_cast<int64_t>(std::time(nullptr)));
  const auto wanted = invocation.Number(Parameter::kLines, 100, 0, 1000000);
  if (!filter || !wanted) {
    PrintError(filter ? "`--lines` takes a number up to 1,000,000" : filter.error());
    return kExitWrongUsage;
  }
  Follower log(path);
  if (const int error = log.Open(); error != 0) {
    PrintError(fmt::format("`{}`: {}", path, std::strerror(error)));
    return kExitCannot;
  }
  const auto arch = ArchOfLog(invocation);
  if (!arch) return arch.error();
  Tail tail(std::move(*filter), invocation.One(Parameter::kFormat) == "json", *arch);
  if (!PrintLast(log, tail, *wanted)) return kExitCannot;
  if (const std::string why = tail.WhyNothing(); !why.empty()) PrintNote(why);
  while (invocation.Has(Parameter::kFollow)) {
    poll(nullptr, 0, kPause);
    std::string out;
    log.ReadOn([&](std::string_view line) { out += tail.Line(line).value_or(""); });
    if (!out.empty() && !PrintOut(out)) return kExitCannot;
  }
  if (tail.unreadable() != 0) {
    const std::string lines = tail.unreadable() == 1
                                  ? "1 line is no record"
                                  : fmt::format("{} lines are no records", tail.unreadable());
    PrintNote(lines + ": see `bulkhead audit verify`");
  }
  return kExitDone;
}

}  // namespace bulkhead
