// SPDX-License-Identifier: Apache-2.0
// Landlock refusals as the kernel's audit subsystem reports them, for the supervisor's loop.
//
// Open() before any component is forked: it installs the rule `task,never` and only then switches
// audit on, because a process forked while audit is on without that rule pays 40 to 100 ns at
// every system call for the rest of its life. Where audit is already on, has rules or a daemon,
// it belongs to somebody else and is left as it is; we only listen. Close() (and the destructor)
// undoes exactly what Open() did. A supervisor killed by SIGKILL leaves audit on with the rule,
// which bears our key: the next one takes both over and undoes them at its end. While another
// supervisor still reads, they stay, and the last one undoes them.
// After Close() processes forked later pay those nanoseconds until reboot: the kernel remembers
// that audit was on and offers no way to unset that.
//
// Needs CAP_AUDIT_CONTROL, CAP_AUDIT_READ, the initial PID namespace (control) and the initial
// network namespace (the multicast group AUDIT_NLGRP_READLOG). Linux 6.15 for Landlock's records.
// Loss shows three ways: `overruns` (our socket was full), `lost` (the kernel's backlog was), and,
// exactly, `missing` at a domain's end. One owner, one thread; nothing here blocks after Open().
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <set>
#include <string_view>

#include "engine/audit_netlink.h"
#include "engine/landlock_domains.h"

namespace bulkhead {

struct AuditPlan {  // what Open() changes, and Close() then
  bool add_rule = false;
  bool enable = false;
  bool delete_rule = false;
  bool disable = false;
  AuditQueue queue;  // what to set it to again; length 0: it is left alone
  bool operator==(const AuditPlan&) const = default;
};

// Pure. Somebody's audit is never changed; a locked one cannot be.
AuditPlan PlanAudit(const AuditState& state);

// Pure: the socket inodes that read the kernel's audit log, from the text of /proc/net/netlink.
std::set<uint64_t> ReadLogReaders(std::string_view proc_net_netlink);

struct KernelAuditCounters {
  LandlockCounters landlock;
  uint64_t records = 0;       // of Landlock's two types
  uint64_t malformed = 0;     // of these, not understood
  uint64_t overruns = 0;      // times the receive buffer was full; how many were lost is not known
  uint32_t lost = 0;          // records the kernel dropped since Open()
  uint64_t switched_off = 0;  // times that audit was found off, and switched on again
};

class KernelAudit {
 public:
  static tl::expected<KernelAudit, AuditError> Open();
  KernelAudit(KernelAudit&& other) noexcept;
  KernelAudit& operator=(KernelAudit&&) = delete;
  ~KernelAudit() { Close(); }

  int fd() const { return fd_; }  // readable when there is something to drain

  // Reads at most `limit` records and hands out what they say. True if there may be more: one
  // flooding component must not keep the loop from the others.
  bool Drain(const LandlockHandler& handler, size_t limit = 256);

  // About once a second: refusals that waited in vain for their domain's record, and the
  // kernel's count of lost records.
  void Tick(const LandlockHandler& handler);

  // At the end, after the components are gone and Drain() had nothing more. Asks the kernel once
  // more what it lost, and waits up to a second for the answer.
  void Flush(const LandlockHandler& handler);

  // Restores what Open() changed; the first failure is returned. Idempotent.
  tl::expected<void, AuditError> Close();

  KernelAuditCounters counters() const;

  // Whether a domain that was refused something has not ended, as far as we know.
  bool HasOpenDomains() const { return domains_.size() > 0; }

 private:
  KernelAudit(AuditControl control, const AuditState& before, int fd);
  tl::expected<void, AuditError> Apply(const AuditPlan& plan);
  bool ReadOne(const LandlockHandler& handler);
  void Heed(const AuditNews& news);
  bool OthersDepend() const;

  AuditControl control_;
  uint32_t lost_before_ = 0;
  AuditPlan done_;                // what is to be undone
  std::set<uint64_t> strangers_;  // readers from before audit was on: they do not need it on
  int fd_ = -1;
  LandlockDomains domains_;
  KernelAuditCounters counters_;
};

}  // namespace bulkhead
