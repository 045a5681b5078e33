// SPDX-License-Identifier: Apache-2.0
#include "engine/service_notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace bulkhead {

std::string NotifyAddress(const char* notify_socket) {
  const std::string_view text = notify_socket == nullptr ? "" : notify_socket;
  const bool known = text.starts_with('/') || text.starts_with('@');
  if (!known || text.size() < 2 || text.size() >= sizeof(sockaddr_un::sun_path)) return {};
  return std::string(text);
}

ServiceNotify::ServiceNotify(int pid, const char* notify_socket, const char* watchdog_usec,
                             const char* watchdog_pid) {
  if (pid == 1) return;
  address_ = NotifyAddress(notify_socket);
  if (address_.empty()) return;
  socket_ = Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // As sd_watchdog_enabled(3): without WATCHDOG_PID it is ours.
  const bool ours = watchdog_pid == nullptr || std::to_string(pid) == watchdog_pid;
  watched_ = ours && watchdog_usec != nullptr && std::strtoull(watchdog_usec, nullptr, 10) != 0;
}

void ServiceNotify::Ready() {
  if (ready_ || stopping_) return;
  ready_ = true;
  Send("READY=1\n");
}

void ServiceNotify::Stopping() {
  if (stopping_) return;
  stopping_ = true;
  Send("STOPPING=1\n");
}

void ServiceNotify::Status(std::string_view text) {
  if (text == status_) return;
  status_ = text;
  Send("STATUS=" + status_ + "\n");
}

void ServiceNotify::Tick() {
  if (watched_ || !unsent_.empty()) Send(watched_ ? "WATCHDOG=1\n" : "");
}

void ServiceNotify::Send(std::string_view state) {
  if (!socket_) return;
  // Of an older line of the same kind, which was not taken, nobody needs to know.
  const std::string_view kind = state.substr(0, state.find('=') + 1);
  if (const size_t at = unsent_.find(kind); !kind.empty() && at != std::string::npos) {
    unsent_.erase(at, unsent_.find('\n', at) + 1 - at);
  }
  unsent_ += state;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, address_.data(), address_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  const ssize_t sent = sendto(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address), size);
  if (sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)) unsent_.clear();
}

}  // namespace bulkhead
