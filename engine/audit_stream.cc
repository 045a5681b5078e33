// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
// It uses what the above declare.
#include <linux/vm_sockets.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bulkhead {
namespace {

int Call(int family, const void* address, socklen_t size) {
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (connect(fd, static_cast<const sockaddr*>(address), size) == 0 || errno == EINPROGRESS) {
    return fd;
  }
  const int error = errno;
  close(fd);
  return -error;
}

int CallUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  return Call(AF_UNIX, &address, sizeof address);
}

int CallVsock(const std::string& text) {
  const auto peer = ParseVsockPeer(text);
  if (!peer) return -EINVAL;
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = peer->cid;
  address.svm_port = peer->port;
  return Call(AF_VSOCK, &address, sizeof address);
}

short Events(int fd, short wanted, int milliseconds) {
  pollfd ready{fd, wanted, 0};
  return poll(&ready, 1, milliseconds) == 1 ? ready.revents : short{0};
}

}  // namespace

int DialSink(const Sink& sink) {
  return sink.kind == SinkKind::kVsock ? CallVsock(sink.path) : CallUnix(sink.path);
}

int AuditStream::Write(std::string_view line, uint64_t now) {
  if (const int error = Advance(now); error != 0) return error;
  sent_.emplace_back(line);
  bytes_ += line.size();
  Forget();
  wait_ = kFirstWait;
  Advance(now);
  return 0;
}

int AuditStream::Advance(uint64_t now) {
  if (!connected_) {
    if (const int error = Connect(now); error != 0) return error;
  }
  // Who went away is to be missed also while there is nothing to send.
  if ((Events(fd_.get(), 0, 0) & (POLLHUP | POLLERR)) != 0) return Drop(ECONNRESET, now);
  return Send(now);
}

int AuditStream::Connect(uint64_t now) {
  if (!fd_) {
    if (now < not_before_) return error_;
    const int fd = dial_(sink_);
    if (fd < 0) return Drop(-fd, now);
    fd_ = Fd(fd);
    called_ = now;
  }
  if ((Events(fd_.get(), POLLOUT, 0) & (POLLOUT | POLLHUP | POLLERR)) == 0) {
    return now - called_ < kConnectTime ? EINPROGRESS : Drop(ETIMEDOUT, now);
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return Drop(error, now);
  connected_ = true;
  next_ = offset_ = 0;  // all that is kept is sent again
  return 0;
}

int AuditStream::Send(uint64_t now) {
  if (again_) {
    const ssize_t written = send(fd_.get(), "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0) return errno == EAGAIN || errno == EINTR ? EAGAIN : Drop(errno, now);
    again_ = false;
  }
  while (next_ < sent_.size()) {
    const std::string_view rest = std::string_view(sent_[next_]).substr(offset_);
    const ssize_t written = send(fd_.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return EAGAIN;
    if (written < 0) return Drop(errno, now);
    offset_ += static_cast<size_t>(written);
    if (offset_ < sent_[next_].size()) continue;
    offset_ = 0;
    ++next_;
  }
  return 0;
}

int AuditStream::Drop(int error, uint64_t now) {
  fd_ = Fd();
  again_ = again_ || connected_;
  connected_ = false;
  error_ = error;
  not_before_ = now + wait_;
  wait_ = std::min(2 * wait_, kLongestWait);
  return error;
}

// The oldest lines, as far as they are not waiting.
void AuditStream::Forget() {
  while (bytes_ > kSentAgain && next_ > 0) {
    bytes_ -= sent_.front().size();
    sent_.pop_front();
    --next_;
  }
}

void AuditStream::Wait(int milliseconds) const {
  if (fd_) {
    Events(fd_.get(), POLLOUT, milliseconds);
  } else {
    poll(nullptr, 0, milliseconds);
  }
}

}  // namespace bulkhead
