// SPDX-License-Identifier: Apache-2.0
#include "engine/control_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace bulkhead {
namespace {

tl::unexpected<EdgeError> Error(const char* step, const std::string& path, int error = errno) {
  return tl::make_unexpected(EdgeError{step, error, path});
}

void Watch(int epoll, int fd, uint32_t events, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(epoll, operation, fd, &event);
}

// A component's processes are in a PID namespace of their own, whatever their uid.
bool IsOutside(pid_t pid) {
  struct stat theirs {};
  struct stat ours {};
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/pid";
  return pid > 0 && stat(path.c_str(), &theirs) == 0 && stat("/proc/self/ns/pid", &ours) == 0 &&
         theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

bool PeerOf(int fd, ControlPeer& peer) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return false;
  peer = {credentials.uid, credentials.pid};
  return peer.uid == 0 && IsOutside(peer.pid);
}

}  // namespace

tl::expected<ControlSocket, EdgeError> ControlSocket::Open(const std::string& path) {
  ControlSocket control;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error("bind", path, ENAMETOOLONG);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  control.epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  control.listener_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!control.epoll_ || !control.listener_) return Error("open", path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Error("unlink", path);
  const mode_t before = umask(0177);
  const bool bound =
      bind(control.listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  const int error = errno;
  umask(before);
  if (!bound) return Error("bind", path, error);
  if (listen(control.listener_.get(), kMaxClients) != 0) return Error("listen", path);
  Watch(control.epoll_.get(), control.listener_.get(), EPOLLIN, EPOLL_CTL_ADD);
  return control;
}

void ControlSocket::Turn(uint64_t now, const Handler& handler) {
  std::array<epoll_event, 32> events{};
  const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    const int fd = events.at(static_cast<size_t>(i)).data.fd;
    if (fd == listener_.get()) {
      Accept(now);
      continue;
    }
    const auto client = clients_.find(fd);
    if (client != clients_.end() && !Serve(client->second, now, handler)) Drop(fd);
  }
}

void ControlSocket::Accept(uint64_t now) {
  Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return;
  Client client;
  const bool known = PeerOf(fd.get(), client.peer);
  if (!known || clients_.size() >= kMaxClients) {
    const std::string why = ControlError(known ? "too many clients" : "not root of this machine");
    send(fd.get(), why.data(), why.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  const int number = fd.get();
  client.fd = std::move(fd);
  client.since = now;
  clients_[number] = std::move(client);
  Watch(epoll_.get(), number, EPOLLIN, EPOLL_CTL_ADD);
}

bool ControlSocket::Serve(Client& client, uint64_t now, const Handler& handler) {
  return Read(client, handler) && Write(client, now);
}

bool ControlSocket::Read(Client& client, const Handler& handler) {
  std::array<char, kMaxControlRequest> bytes{};
  const ssize_t size = recv(client.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  // Who has said all that it had to say may still read.
  if (size == 0) return client.answered && !client.stays && !client.out.empty();
  if (client.answered) return true;
  client.in.append(bytes.data(), static_cast<size_t>(size));
  const size_t end = client.in.find('\n');
  if (end >= kMaxControlRequest) {  // npos, too
    return client.in.size() < kMaxControlRequest;
  }
  client.answered = true;
  const auto request = ParseControlRequest(std::string_view(client.in).substr(0, end));
  if (!request) {
    client.out = ControlError(request.error());
    return true;
  }
  client.request = *request;
  Answer answer = handler(*request, client.peer);
  client.out = std::move(answer.text);
  client.stays = answer.stays;
  if (client.stays && request->follow) ++followers_;
  return true;
}

bool ControlSocket::Write(Client& client, uint64_t now) {
  while (!client.out.empty()) {
    const ssize_t size =
        send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != EAGAIN) return false;
    if (size < 0) break;
    client.out.erase(0, static_cast<size_t>(size));
    client.since = now;
  }
  if (client.out.empty() && client.answered && !client.stays) return false;
  if (client.out.size() > kMaxUnread) return false;
  // A client that has ended its half would be readable for ever: only who may speak is heard.
  const uint32_t events = (client.out.empty() ? 0U : uint32_t{EPOLLOUT}) |
                          (client.answered && !client.stays ? 0U : uint32_t{EPOLLIN});
  Watch(epoll_.get(), client.fd.get(), events, EPOLL_CTL_MOD);
  return true;
}

void ControlSocket::Drop(int fd) {
  const auto client = clients_.find(fd);
  if (client == clients_.end()) return;
  if (client->second.stays && client->second.request.follow) --followers_;
  clients_.erase(client);
}

void ControlSocket::Tick(uint64_t now) {
  std::vector<int> late;
  for (const auto& [fd, client] : clients_) {
    const bool waits = client.stays && client.out.empty();
    if (!waits && now - client.since > kMaxSilence) late.push_back(fd);
  }
  for (const int fd : late) Drop(fd);
}

void ControlSocket::Said(std::string_view component, std::string_view text) {
  if (followers_ == 0) return;
  std::vector<int> gone;
  const std::string line =
      ControlLine().Text("component", component).Escaped("line", text).Finish();
  for (auto& [fd, client] : clients_) {
    const bool theirs = client.request.component.empty() || client.request.component == component;
    if (!client.stays || !client.request.follow || !theirs) continue;
    client.out += line;
    if (!Write(client, client.since)) gone.push_back(fd);
  }
  for (const int fd : gone) Drop(fd);
}

}  // namespace bulkhead
