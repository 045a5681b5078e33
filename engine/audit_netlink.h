// SPDX-License-Identifier: Apache-2.0
// Requests to the kernel's audit subsystem over NETLINK_AUDIT: its state, on and off, rules. Needs
// CAP_AUDIT_CONTROL and the initial PID namespace (kernel/audit.c: audit_netlink_ok). Requests are
// acknowledged by the kernel within the call; state and rule lists come from a kernel thread soon
// after and are waited for at most a second. One owner, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>

namespace bulkhead {

struct AuditError {
  std::string step;  // "socket", "get", "enable", "disable", "list", "add-rule", "delete-rule", …
  int error = 0;     // errno
};

// Records that wait for their readers. Where the queue is full, whoever causes the next record, or
// asks anything of audit, sleeps for `wait` and can't be interrupted; then the record is dropped.
struct AuditQueue {
  uint32_t length = 0;
  uint32_t wait = 0;  // in ticks of the kernel
  bool operator==(const AuditQueue&) const = default;
};

struct AuditState {
  uint32_t enabled = 0;  // 0 off, 1 on, 2 on and locked until reboot
  uint32_t owner = 0;    // pid of an audit daemon, 0 for none
  uint32_t lost = 0;     // records the kernel dropped since boot
  AuditQueue queue;
  uint32_t rules = 0;  // how many are installed, of all lists
  bool ours = false;   // our own `task,never` is among them, told by its key
  bool operator==(const AuditState&) const = default;
};

struct AuditNews {
  bool enabled = false;
  uint32_t lost = 0;  // as in AuditState
};

class AuditControl {
 public:
  static tl::expected<AuditControl, AuditError> Open();
  AuditControl(AuditControl&& other) noexcept;
  AuditControl& operator=(AuditControl&&) = delete;
  ~AuditControl();

  tl::expected<AuditState, AuditError> State();
  tl::expected<void, AuditError> SetEnabled(bool on);
  tl::expected<void, AuditError> SetQueue(const AuditQueue& queue);

  // The rule `task,never`: processes forked from now on get no audit context, so that enabling
  // audit costs them nothing at their system calls. Landlock's records need no context. It carries
  // the key "bulkhead", so that one left by a killed supervisor can be told from anybody else's.
  tl::expected<void, AuditError> AddTaskNever();
  tl::expected<void, AuditError> DeleteTaskNever();

  // What the kernel says of audit, without waiting: takes the answer to the request before, if
  // there is one, and asks again.
  std::optional<AuditNews> Poll();

 private:
  explicit AuditControl(int fd) : fd_(fd) {}
  int fd_ = -1;
  uint32_t sequence_ = 0;
};

}  // namespace bulkhead
