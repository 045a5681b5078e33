// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "engine/clock.h"
#include "engine/fd.h"

namespace bulkhead {
namespace {

using Failure = tl::unexpected<SinkError>;

tl::expected<void, SinkError> MakeDirectories(const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    const std::string directory = path.substr(0, end);
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return Failure({"mkdir", errno, directory});
    }
  }
  return {};
}

// A log that somebody else could replace or write is no record. In a directory with the sticky bit
// they can't.
tl::expected<void, SinkError> CheckDirectory(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  struct stat parent = {};
  if (stat(directory.c_str(), &parent) != 0) return Failure({"check", errno, directory});
  const bool sticky = (parent.st_mode & S_ISVTX) != 0;
  if ((parent.st_mode & 022) == 0 || sticky) return {};
  return Failure({"others can write its directory", EPERM, directory});
}

tl::expected<void, SinkError> CheckFile(int fd, const std::string& path) {
  struct stat file = {};
  if (fstat(fd, &file) != 0) return Failure({"check", errno, path});
  if (!S_ISREG(file.st_mode) || file.st_nlink != 1 || file.st_uid != geteuid()) {
    return Failure({"check", EPERM, path});
  }
  if ((file.st_mode & 077) != 0 && fchmod(fd, 0600) != 0) return Failure({"check", errno, path});
  return {};
}

// A failure shows at once: the next line is joined to the torn one and the chain breaks there.
void EndLine(int fd) { [[maybe_unused]] const ssize_t written = write(fd, "\n", 1); }

bool EndsTorn(int fd) {
  struct stat file = {};
  char last = '\n';
  if (fstat(fd, &file) != 0 || file.st_size == 0) return false;
  return pread(fd, &last, 1, file.st_size - 1) == 1 && last != '\n';
}

void EndTornLine(int fd) {
  if (EndsTorn(fd)) EndLine(fd);
}

// Where a run that was killed may have left a line without its end: on a console nobody can look.
void BeginLine(int fd) {
  if (isatty(fd) == 1) return EndLine(fd);
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return;
  const Fd reader(open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC));
  if (reader && EndsTorn(reader.get())) EndLine(fd);
}

bool IsSameFile(int one, int two) {
  struct stat a {
  }, b{};
  return fstat(one, &a) == 0 && fstat(two, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// A file has one writer: two would break each other's chain. `current` is the descriptor that this
// sink writes already, -1 for none; it is returned again where the path still leads there.
tl::expected<int, SinkError> OpenFile(const std::string& path, int current) {
  if (path.empty() || path.front() != '/') return Failure({"open", EINVAL, path});
  if (auto made = MakeDirectories(path); !made) return tl::unexpected(made.error());
  if (auto checked = CheckDirectory(path); !checked) return tl::unexpected(checked.error());
  const int fd =
      open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  if (fd < 0) return Failure({"open", errno, path});
  if (auto checked = CheckFile(fd, path); !checked) {
    close(fd);
    return tl::unexpected(checked.error());
  }
  if (current >= 0 && IsSameFile(fd, current)) {
    close(fd);
    return current;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno == EWOULDBLOCK ? EBUSY : errno;
    close(fd);
    return Failure({"lock", error, path});
  }
  EndTornLine(fd);
  return fd;
}

// A description of its own, so that O_NONBLOCK does not change anybody else's. A socket cannot be
// opened again; it is written with MSG_DONTWAIT.
tl::expected<int, SinkError> OpenDescription(int number) {
  // A file never blocks, and has one offset with standard error where a shell wrote `> FILE 2>&1`:
  // with another each would write over the other's lines.
  struct stat info {};
  const bool file = fstat(number, &info) == 0 && S_ISREG(info.st_mode);
  int fd = -1;
  if (!file) {
    const std::string path = "/proc/self/fd/" + std::to_string(number);
    fd = open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  }
  if (fd < 0) fd = fcntl(number, F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return Failure({"open", errno, number == STDERR_FILENO ? "stderr" : "stdout"});
  return fd;
}

ssize_t WriteSome(int fd, std::string_view bytes) {
  ssize_t written = -1;
  do {
    written = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0 && errno == ENOTSOCK) {
      pollfd ready = {fd, POLLOUT, 0};
      if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return -1;
      written = write(fd, bytes.data(), bytes.size());
    }
  } while (written < 0 && errno == EINTR);
  return written;
}

}  // namespace

tl::expected<AuditSink, SinkError> AuditSink::Open(const Sink& sink, Dial dial, uint64_t most) {
  switch (sink.kind) {
    case SinkKind::kStdout: {
      auto opened = OpenStandard(STDOUT_FILENO);
      if (opened) BeginLine(opened->fd_);
      return opened;
    }
    case SinkKind::kUnix:
    case SinkKind::kVsock:
      return OpenStream(sink, dial);
    case SinkKind::kFile:
      break;
  }
  const auto fd = OpenFile(sink.path, -1);
  if (!fd) return tl::unexpected(fd.error());
  AuditSink opened(sink, *fd);
  opened.most_ = most;
  opened.Settle(true);
  return opened;
}

tl::expected<AuditSink, SinkError> AuditSink::OpenStandard(int number) {
  const auto fd = OpenDescription(number);
  if (!fd) return tl::unexpected(fd.error());
  return AuditSink({SinkKind::kStdout, ""}, *fd);
}

tl::expected<AuditSink, SinkError> AuditSink::OpenStream(const Sink& sink, Dial dial) {
  AuditStream stream(sink, dial);
  int error = stream.Advance(NowNs());
  constexpr int kWaits = 50;  // of 100 ms
  for (int i = 0; i < kWaits && (error == EINPROGRESS || error == EAGAIN); ++i) {
    stream.Wait(100);
    error = stream.Advance(NowNs());
  }
  AuditSink opened(sink, std::move(stream));
  if (error != 0) return Failure({"connect", error, opened.Name()});
  return opened;
}

AuditSink::AuditSink(AuditSink&& other) noexcept
    : sink_(std::move(other.sink_)),
      most_(other.most_),
      fd_(std::exchange(other.fd_, -1)),
      owed_(std::move(other.owed_)),
      stream_(std::move(other.stream_)) {}

AuditSink& AuditSink::operator=(AuditSink&& other) noexcept {
  std::swap(sink_, other.sink_);
  std::swap(most_, other.most_);
  std::swap(fd_, other.fd_);
  std::swap(owed_, other.owed_);
  std::swap(stream_, other.stream_);
  return *this;
}

AuditSink::~AuditSink() {
  if (fd_ >= 0) close(fd_);
}

int AuditSink::Advance(uint64_t now) {
  if (stream_) return stream_->Advance(now);
  return PayDebt();
}

bool AuditSink::Wait(int milliseconds) const {
  if (is_file()) return false;
  if (stream_) {
    stream_->Wait(milliseconds);
  } else {
    pollfd ready = {fd_, POLLOUT, 0};
    poll(&ready, 1, milliseconds);
  }
  return true;
}

void AuditSink::Settle(bool wait) const {
  if (!is_file()) return;
  // A disk that fails here fails the writes that follow, too; these are looked at.
  if (wait) {
    fdatasync(fd_);
  } else {
    sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
  }
}

int AuditSink::Write(std::string_view line, uint64_t now) {
  if (stream_) return stream_->Write(line, now);
  if (is_file()) return WriteFile(line);
  const int error = PayDebt();
  return error != 0 ? error : WriteStream(line);
}

// Whoever moved the file away, as for a rotation of their own, is not undone.
int AuditSink::Rotate() {
  const Fd there(open(sink_.path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (there && IsSameFile(there.get(), fd_)) {
    const std::string old = sink_.path + std::string(kOldSuffix);
    if (rename(sink_.path.c_str(), old.c_str()) != 0) return errno;
  }
  const auto opened = Reopen();
  return opened ? 0 : opened.error().error;
}

int AuditSink::WriteFile(std::string_view line) {
  struct stat before = {};
  if (fstat(fd_, &before) != 0) return errno;
  if (most_ != 0 && static_cast<uint64_t>(before.st_size) + line.size() > most_) {
    if (const int error = Rotate(); error != 0) return error;
    if (fstat(fd_, &before) != 0) return errno;
  }
  ssize_t written = -1;
  do {
    written = write(fd_, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return errno;
  if (written == static_cast<ssize_t>(line.size())) return 0;
  // The disk took a part: take it back, the chain has no half lines.
  if (written > 0 && ftruncate(fd_, before.st_size) != 0) EndTornLine(fd_);
  return ENOSPC;
}

int AuditSink::WriteStream(std::string_view line) {
  const ssize_t written = WriteSome(fd_, line);
  if (written <= 0) return EAGAIN;
  owed_ = line.substr(static_cast<size_t>(written));
  return 0;
}

int AuditSink::PayDebt() {
  if (owed_.empty()) return 0;
  const ssize_t written = WriteSome(fd_, owed_);
  if (written > 0) owed_.erase(0, static_cast<size_t>(written));
  return owed_.empty() ? 0 : EAGAIN;
}

tl::expected<void, SinkError> AuditSink::Reopen() {
  if (!is_file()) return {};
  const auto fd = OpenFile(sink_.path, fd_);
  if (!fd) return tl::unexpected(fd.error());
  if (*fd != fd_) close(fd_);
  fd_ = *fd;
  return {};
}

std::string AuditSink::Name() const {
  switch (sink_.kind) {
    case SinkKind::kFile:
      return "file:" + sink_.path;
    case SinkKind::kStdout:
      return "stdout";
    case SinkKind::kUnix:
      return "unix:" + sink_.path;
    case SinkKind::kVsock:
      return "vsock:" + sink_.path;
  }
  return "";
}

}  // namespace bulkhead
