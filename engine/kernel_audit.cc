// SPDX-License-Identifier: Apache-2.0
#include "engine/kernel_audit.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "engine/clock.h"
#include "sandbox/cgroup_mounts.h"

namespace bulkhead {
namespace {

constexpr uint32_t kReadLogBit = 1U << (AUDIT_NLGRP_READLOG - 1);
constexpr char kSockets[] = "/proc/net/netlink";
// Long, as auditd's rules set it (a record is about 300 bytes), and without waiting: with it a
// flood of refusals would put this process to sleep for a minute when it next asks for the count of
// lost records.
constexpr AuditQueue kQueue = {8192, 0};
// kernel/audit.c: AUDIT_BACKLOG_LIMIT, AUDIT_BACKLOG_WAIT_TIME at 250 ticks a second.
constexpr AuditQueue kKernelsQueue = {64, 60 * 250};
constexpr int kReceiveBuffer = 8 << 20;  // about 10,000 records

std::string_view TakeUntil(std::string_view& rest, char separator) {
  const size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

// Columns are padded with spaces.
std::string_view TakeWord(std::string_view& line) {
  std::string_view word;
  while (word.empty() && !line.empty()) word = TakeUntil(line, ' ');
  return word;
}

bool ReadNumber(std::string_view digits, int base, uint64_t& value) {
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  return error == std::errc() && stop == end;
}

tl::expected<int, AuditError> JoinReadLog() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_AUDIT);
  if (fd < 0) return tl::unexpected(AuditError{"socket", errno});
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  }
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kReadLogBit;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const AuditError error{"join", errno};
    close(fd);
    return tl::unexpected(error);
  }
  return fd;
}

}  // namespace

AuditPlan PlanAudit(const AuditState& state) {
  const bool off = state.enabled == 0;
  const bool untouched = off && state.owner == 0 && state.rules == 0;
  const bool left_on = state.enabled == 1 && state.owner == 0 && state.ours;
  // What a killed supervisor of ours has set goes back to what the kernel begins with.
  const AuditQueue found = state.queue == kQueue ? kKernelsQueue : state.queue;
  const AuditQueue queue = state.owner == 0 && (off || left_on) ? found : AuditQueue{};
  return {.add_rule = untouched,
          .enable = off,
          .delete_rule = untouched || (state.ours && state.enabled < 2),
          .disable = off || left_on,
          .queue = queue};
}

std::set<uint64_t> ReadLogReaders(std::string_view proc_net_netlink) {
  // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode: Eth is the protocol, Groups hexadecimal.
  std::set<uint64_t> inodes;
  std::string_view rest = proc_net_netlink;
  while (!rest.empty()) {
    std::string_view line = TakeUntil(rest, '\n');
    std::array<std::string_view, 10> fields;
    for (std::string_view& field : fields) field = TakeWord(line);
    uint64_t groups = 0;
    uint64_t inode = 0;
    if (fields[1] != std::to_string(NETLINK_AUDIT)) continue;
    if (!ReadNumber(fields[3], 16, groups) || !ReadNumber(fields[9], 10, inode)) continue;
    if ((groups & kReadLogBit) != 0) inodes.insert(inode);
  }
  return inodes;
}

KernelAudit::KernelAudit(AuditControl control, const AuditState& before, int fd)
    : control_(std::move(control)), lost_before_(before.lost), fd_(fd) {}

KernelAudit::KernelAudit(KernelAudit&& other) noexcept
    : control_(std::move(other.control_)),
      lost_before_(other.lost_before_),
      done_(std::exchange(other.done_, {})),
      strangers_(std::move(other.strangers_)),
      fd_(std::exchange(other.fd_, -1)),
      domains_(std::move(other.domains_)),
      counters_(other.counters_) {}

tl::expected<KernelAudit, AuditError> KernelAudit::Open() {
  auto control = AuditControl::Open();
  if (!control) return tl::unexpected(control.error());
  const auto before = control->State();
  if (!before) return tl::unexpected(before.error());
  const std::set<uint64_t> readers = ReadLogReaders(ReadSmallFile(kSockets));
  // Listen first: no record falls between switching on and joining.
  const auto fd = JoinReadLog();
  if (!fd) return tl::unexpected(fd.error());
  KernelAudit audit(std::move(*control), *before, *fd);
  if (before->enabled == 0) audit.strangers_ = readers;
  if (auto applied = audit.Apply(PlanAudit(*before)); !applied) {
    return tl::unexpected(applied.error());
  }
  return audit;
}

tl::expected<void, AuditError> KernelAudit::Apply(const AuditPlan& plan) {
  if (plan.add_rule) {
    if (auto added = control_.AddTaskNever(); !added) return added;
  }
  done_.delete_rule = plan.delete_rule;
  done_.queue = plan.queue;
  if (plan.enable) {
    if (plan.queue.length != 0) {
      if (auto set = control_.SetQueue(kQueue); !set) return set;
    }
    if (auto enabled = control_.SetEnabled(true); !enabled) return enabled;
  }
  done_.disable = plan.disable;
  return {};
}

bool KernelAudit::OthersDepend() const {
  struct stat own = {};
  if (fd_ < 0 || fstat(fd_, &own) != 0) return false;
  for (const uint64_t inode : ReadLogReaders(ReadSmallFile(kSockets))) {
    if (inode != own.st_ino && !strangers_.contains(inode)) return true;
  }
  return false;
}

tl::expected<void, AuditError> KernelAudit::Close() {
  const AuditPlan done = std::exchange(done_, {});
  const bool leave = OthersDepend();
  if (fd_ >= 0) close(std::exchange(fd_, -1));
  tl::expected<void, AuditError> result;
  if (leave) return result;
  if (done.disable) result = control_.SetEnabled(false);
  if (done.queue.length != 0) {
    const auto restored = control_.SetQueue(done.queue);
    if (result) result = restored;
  }
  if (done.delete_rule) {
    const auto deleted = control_.DeleteTaskNever();
    if (result) result = deleted;
  }
  return result;
}

bool KernelAudit::Drain(const LandlockHandler& handler, size_t limit) {
  for (size_t i = 0; i < limit; ++i) {
    if (!ReadOne(handler)) return false;
  }
  return true;
}

bool KernelAudit::ReadOne(const LandlockHandler& handler) {
  alignas(nlmsghdr) char buffer[16384];
  sockaddr_nl from = {};
  socklen_t length = sizeof from;
  const ssize_t got =
      recvfrom(fd_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &length);
  if (got < 0) {
    if (errno == ENOBUFS) ++counters_.overruns;
    return errno == ENOBUFS || errno == EINTR;
  }
  if (from.nl_pid != 0 || got < static_cast<ssize_t>(sizeof(nlmsghdr))) return true;
  nlmsghdr header;
  memcpy(&header, buffer, sizeof header);
  const bool seccomp = header.nlmsg_type == kSeccompRecord;
  if (!seccomp && header.nlmsg_type != kLandlockAccessRecord &&
      header.nlmsg_type != kLandlockDomainRecord) {
    return true;
  }
  ++counters_.records;
  // The length in the header is not to be relied on here: some releases leave out the header.
  std::string_view text(buffer + NLMSG_HDRLEN, static_cast<size_t>(got) - NLMSG_HDRLEN);
  if (seccomp) {
    const auto kill = ParseSeccompRecord(text.substr(0, text.find('\0')));
    if (!kill) ++counters_.malformed;
    if (kill && handler.killed) handler.killed(*kill);
    return true;
  }
  auto record = ParseLandlockRecord(header.nlmsg_type, text.substr(0, text.find('\0')));
  if (record) {
    domains_.Take(std::move(*record), NowNs(), handler);
  } else {
    ++counters_.malformed;
  }
  return true;
}

void KernelAudit::Tick(const LandlockHandler& handler) {
  domains_.Expire(NowNs(), handler);
  // Where the queue is somebody else's and makes us wait, nothing is asked: see kQueue. What is
  // lost then shows at the domains' ends.
  if (done_.queue.length == 0) return;
  if (const auto news = control_.Poll(); news) Heed(*news);
}

// Somebody else may have switched audit off: an administrator, or another supervisor that ended
// while this one began. Whatever was refused meanwhile left no record.
void KernelAudit::Heed(const AuditNews& news) {
  counters_.lost = news.lost - lost_before_;
  if (news.enabled) return;
  ++counters_.switched_off;
  // Refused, it is tried again at the next turn, and counted again.
  done_.disable = control_.SetEnabled(true).has_value() || done_.disable;
}

void KernelAudit::Flush(const LandlockHandler& handler) {
  domains_.Flush(handler);
  if (done_.queue.length == 0) return;
  if (const auto state = control_.State(); state) Heed({state->enabled != 0, state->lost});
}

KernelAuditCounters KernelAudit::counters() const {
  KernelAuditCounters counters = counters_;
  counters.landlock = domains_.counters();
  return counters;
}

}  // namespace bulkhead
