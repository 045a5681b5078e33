// SPDX-License-Identifier: Apache-2.0
// Sockets that can't be turned into clients. A listening TCP socket that is handed to a component
// belongs to the enclave's network namespace; whoever may call connect(2) could shut it down, or
// dissolve a connection that it accepted, and connect that socket to anywhere. Where Landlock
// doesn't decide TCP (before Linux 6.7), the kernel asks the programs of the cgroup in which a
// socket was made, and accepted sockets inherit it: so such sockets are made in a cgroup of their
// own whose programs refuse connect, and bind by anybody but root.
// Sources: bpf(2), net/core/sock.c (sk_clone_lock: cgroup_sk_clone), net/ipv4/af_inet.c
// (pre_connect); BPF_CGROUP_INET4_CONNECT and INET4_BIND are Linux 4.17. Needs the cgroup v2
// tree, CONFIG_CGROUP_BPF, CAP_BPF with CAP_NET_ADMIN, or CAP_SYS_ADMIN. One owner, one thread.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace bulkhead {

struct GuardError {
  std::string step;  // "find", "mkdir", "load", "attach", "attach process", "socket"
  int error = 0;     // errno
};

class ConnectGuard {
 public:
  // Makes the cgroup bulkhead-<name>-sockets below the caller's in the version 2 tree. One that a
  // killed supervisor left is taken over.
  static tl::expected<ConnectGuard, GuardError> Open(const std::string& name);
  ConnectGuard(ConnectGuard&& other) noexcept;
  ConnectGuard& operator=(ConnectGuard&&) = delete;
  ~ConnectGuard();  // sockets keep their programs

  // A socket of the cgroup, close-on-exec. `type` without flags.
  tl::expected<int, GuardError> MakeSocket(int domain, int type) const;

 private:
  explicit ConnectGuard(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;
};

// Whether a guard can be made here and refuses: tried, on loopback.
bool HasConnectGuard();

}  // namespace bulkhead
