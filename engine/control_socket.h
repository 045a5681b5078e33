// SPDX-License-Identifier: Apache-2.0
// The control socket: a unix stream socket in the supervisor's own directory (0700, in no
// component's view), mode 0600. Whoever connects counts only with uid 0 and from the supervisor's
// PID namespace, as the kernel says. Clients are few, their requests and answers bounded, nothing
// waits for one: who is late or does not read is dropped. Single-threaded.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "engine/control_protocol.h"
#include "engine/edges.h"

namespace bulkhead {

struct ControlPeer {
  uint32_t uid = 0;
  pid_t pid = 0;
};

class ControlSocket {
 public:
  static constexpr size_t kMaxClients = 16;        // further ones are turned away
  static constexpr size_t kMaxUnread = 4U << 20;   // bytes of an answer that its client has to read
  static constexpr uint64_t kMaxSilence = 10'000;  // ms for a request, and between two readings

  // The answer, whole lines. `stays`: the client is sent what Said says, until it goes.
  struct Answer {
    std::string text;
    bool stays = false;
  };
  using Handler = std::function<Answer(const ControlRequest&, const ControlPeer&)>;

  // Takes the place of a socket that a dead supervisor left.
  static tl::expected<ControlSocket, EdgeError> Open(const std::string& path);

  int fd() const { return epoll_.get(); }  // readable: Turn has something to do
  void Turn(uint64_t now, const Handler& handler);
  void Tick(uint64_t now);
  // A line of a component's output, to those who follow it.
  void Said(std::string_view component, std::string_view text);
  bool followed() const { return followers_ != 0; }

 private:
  struct Client {
    Fd fd;
    ControlPeer peer;
    std::string in;
    std::string out;
    bool answered = false;
    bool stays = false;
    ControlRequest request;
    uint64_t since = 0;  // ms, when it last did its part
  };

  void Accept(uint64_t now);
  // False: it is to be dropped.
  bool Serve(Client& client, uint64_t now, const Handler& handler);
  bool Read(Client& client, const Handler& handler);
  bool Write(Client& client, uint64_t now);
  void Drop(int fd);

  Fd listener_, epoll_;
  std::map<int, Client> clients_;
  size_t followers_ = 0;
};

}  // namespace bulkhead
