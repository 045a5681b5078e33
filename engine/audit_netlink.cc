// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_netlink.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace bulkhead {
namespace {

constexpr int kAnswerMs = 1000;

struct Message {
  nlmsghdr header;
  char data[NLMSG_SPACE(8970)];
};

std::span<const char> AsBytes(const auto& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

int Send(int fd, uint16_t type, uint32_t sequence, std::span<const char> payload) {
  Message message = {};
  message.header.nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(payload.size()));
  message.header.nlmsg_type = type;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message.header.nlmsg_seq = sequence;
  if (!payload.empty()) memcpy(message.data, payload.data(), payload.size());
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = sendto(fd, &message, message.header.nlmsg_len, MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  return sent < 0 ? errno : 0;
}

// One message from the kernel; 0, or EAGAIN if none came within the time.
int Receive(int fd, Message& message, int timeout_ms) {
  pollfd ready = {fd, POLLIN, 0};
  if (poll(&ready, 1, timeout_ms) != 1) return EAGAIN;
  sockaddr_nl from = {};
  socklen_t length = sizeof from;
  const ssize_t got = recvfrom(fd, &message, sizeof message, MSG_DONTWAIT,
                               reinterpret_cast<sockaddr*>(&from), &length);
  if (got < 0) return errno;
  if (from.nl_pid != 0 || got < static_cast<ssize_t>(sizeof(nlmsghdr))) return EBADMSG;
  // Payloads shorter than their structure, from an older kernel, read as zero beyond their end.
  memset(reinterpret_cast<char*>(&message) + got, 0, sizeof message - static_cast<size_t>(got));
  return 0;
}

// Sends a request and waits for its acknowledgement, giving every other answer to `visit`.
template <typename Visit>
int Ask(int fd, uint16_t type, uint32_t sequence, std::span<const char> payload, Visit visit) {
  if (const int error = Send(fd, type, sequence, payload); error != 0) return error;
  for (;;) {
    Message answer;
    if (const int error = Receive(fd, answer, kAnswerMs); error != 0) return error;
    if (answer.header.nlmsg_seq != sequence) continue;  // of an earlier Poll
    if (answer.header.nlmsg_type == NLMSG_ERROR) {
      nlmsgerr acknowledgement;
      memcpy(&acknowledgement, answer.data, sizeof acknowledgement);
      return -acknowledgement.error;
    }
    visit(answer);
  }
}

// The answer proper may come before or after the acknowledgement; `done` says when it is whole.
template <typename Visit>
int AskAndRead(int fd, uint16_t type, uint32_t sequence, Visit done) {
  bool whole = false;
  const int error = Ask(fd, type, sequence, {}, [&](const Message& m) { whole = done(m); });
  if (error != 0) return error;
  while (!whole) {
    Message answer;
    if (const int failed = Receive(fd, answer, kAnswerMs); failed != 0) return failed;
    if (answer.header.nlmsg_seq == sequence) whole = done(answer);
  }
  return 0;
}

constexpr std::string_view kRuleKey = "bulkhead";

// A rule as it goes over the socket: the structure and the text of its key.
using RuleBytes = std::array<char, sizeof(audit_rule_data) + kRuleKey.size()>;

RuleBytes TaskNever() {
  audit_rule_data rule = {};
  rule.flags = AUDIT_FILTER_TASK;
  rule.action = AUDIT_NEVER;
  rule.field_count = 1;
  rule.fields[0] = AUDIT_FILTERKEY;
  rule.fieldflags[0] = AUDIT_EQUAL;
  rule.values[0] = rule.buflen = static_cast<uint32_t>(kRuleKey.size());
  RuleBytes bytes;
  memcpy(bytes.data(), &rule, sizeof rule);
  memcpy(bytes.data() + sizeof rule, kRuleKey.data(), kRuleKey.size());
  return bytes;
}

bool IsTaskNever(const Message& message) {
  audit_rule_data rule;
  memcpy(&rule, message.data, sizeof rule);
  const std::string_view key(message.data + sizeof rule, kRuleKey.size());
  return rule.flags == AUDIT_FILTER_TASK && rule.action == AUDIT_NEVER && rule.field_count == 1 &&
         rule.fields[0] == AUDIT_FILTERKEY && rule.buflen == kRuleKey.size() && key == kRuleKey;
}

tl::expected<void, AuditError> Result(const char* step, int error) {
  if (error != 0) return tl::unexpected(AuditError{step, error});
  return {};
}

audit_status StatusOf(const Message& message) {
  audit_status status;
  memcpy(&status, message.data, sizeof status);
  return status;
}

}  // namespace

tl::expected<AuditControl, AuditError> AuditControl::Open() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
  if (fd < 0) return tl::unexpected(AuditError{"socket", errno});
  return AuditControl(fd);
}

AuditControl::AuditControl(AuditControl&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), sequence_(other.sequence_) {}

AuditControl::~AuditControl() {
  if (fd_ >= 0) close(fd_);
}

tl::expected<AuditState, AuditError> AuditControl::State() {
  AuditState state;
  int error = AskAndRead(fd_, AUDIT_GET, ++sequence_, [&](const Message& message) {
    if (message.header.nlmsg_type != AUDIT_GET) return false;
    const audit_status status = StatusOf(message);
    state.enabled = status.enabled;
    state.owner = status.pid;
    state.lost = status.lost;
    state.queue = {status.backlog_limit, status.backlog_wait_time};
    return true;
  });
  if (error != 0) return tl::unexpected(AuditError{"get", error});
  error = AskAndRead(fd_, AUDIT_LIST_RULES, ++sequence_, [&](const Message& message) {
    if (message.header.nlmsg_type == AUDIT_LIST_RULES) {
      ++state.rules;
      state.ours = state.ours || IsTaskNever(message);
    }
    return message.header.nlmsg_type == NLMSG_DONE;
  });
  if (error != 0) return tl::unexpected(AuditError{"list", error});
  return state;
}

tl::expected<void, AuditError> AuditControl::SetEnabled(bool on) {
  audit_status status = {};
  status.mask = AUDIT_STATUS_ENABLED;
  status.enabled = on ? 1 : 0;
  const int error = Ask(fd_, AUDIT_SET, ++sequence_, AsBytes(status), [](const Message&) {});
  return Result(on ? "enable" : "disable", error);
}

tl::expected<void, AuditError> AuditControl::SetQueue(const AuditQueue& queue) {
  audit_status status = {};
  status.mask = AUDIT_STATUS_BACKLOG_LIMIT | AUDIT_STATUS_BACKLOG_WAIT_TIME;
  status.backlog_limit = queue.length;
  status.backlog_wait_time = queue.wait;
  return Result("queue", Ask(fd_, AUDIT_SET, ++sequence_, AsBytes(status), [](const Message&) {}));
}

tl::expected<void, AuditError> AuditControl::AddTaskNever() {
  const int error = Ask(fd_, AUDIT_ADD_RULE, ++sequence_, TaskNever(), [](const Message&) {});
  // Another supervisor that starts at this moment has added the same.
  return Result("add-rule", error == EEXIST ? 0 : error);
}

tl::expected<void, AuditError> AuditControl::DeleteTaskNever() {
  return Result("delete-rule",
                Ask(fd_, AUDIT_DEL_RULE, ++sequence_, TaskNever(), [](const Message&) {}));
}

std::optional<AuditNews> AuditControl::Poll() {
  std::optional<AuditNews> news;
  Message answer;
  // At most the answers of the requests before are there; the bound keeps this from ever looping.
  for (int i = 0; i < 16 && Receive(fd_, answer, 0) == 0; ++i) {
    if (answer.header.nlmsg_type != AUDIT_GET) continue;
    const audit_status status = StatusOf(answer);
    news = AuditNews{status.enabled != 0, status.lost};
  }
  if (Send(fd_, AUDIT_GET, ++sequence_, {}) != 0) return std::nullopt;
  return news;
}

}  // namespace bulkhead
