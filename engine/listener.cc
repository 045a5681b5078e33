// SPDX-License-Identifier: Apache-2.0
#include "engine/listener.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>

namespace bulkhead {
namespace {

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)  // Linux 6.6
#endif
constexpr uint64_t kSyncWakeUp = 1;

bool IsListener(int fd) {
  std::array<char, 64> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = readlink(link.c_str(), target.data(), target.size());
  return size > 0 &&
         std::string_view(target.data(), static_cast<size_t>(size)) == "anon_inode:seccomp notify";
}

}  // namespace

std::optional<SeccompListener> SeccompListener::Take(int pidfd, int number) {
  Fd fd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, number, 0)));
  if (!fd || !IsListener(fd.get())) return std::nullopt;
  // Better latency where the kernel has it; older kernels answer EINVAL.
  ioctl(fd.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, kSyncWakeUp);
  return SeccompListener(std::move(fd));
}

SeccompListener::State SeccompListener::Receive(Notification& notification) const {
  pollfd ready{fd_.get(), POLLIN, 0};
  if (poll(&ready, 1, 0) != 1) return State::kNothing;
  return Receive(notification, static_cast<uint32_t>(ready.revents));
}

SeccompListener::State SeccompListener::Receive(Notification& notification,
                                                uint32_t revents) const {
  // Each call that makes the descriptor readable has counted once for the ioctl, also if its caller
  // has died since; so after POLLIN it returns at once. A hang-up or an error is no call.
  if ((revents & POLLIN) == 0) {
    return (revents & POLLHUP) != 0 ? State::kClosed : State::kNothing;
  }
  seccomp_notif raw{};
  if (ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_RECV, &raw) != 0) return State::kNothing;
  notification.id = raw.id;
  notification.pid = static_cast<pid_t>(raw.pid);
  notification.data.nr = static_cast<uint32_t>(raw.data.nr);
  notification.data.arch = raw.data.arch;
  notification.data.instruction_pointer = raw.data.instruction_pointer;
  std::copy(std::begin(raw.data.args), std::end(raw.data.args), notification.data.args.begin());
  return State::kCall;
}

bool SeccompListener::Respond(const Notification& notification, Answer answer) const {
  seccomp_notif_resp response{};
  response.id = notification.id;
  if (answer == Answer::kContinue) {
    response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  } else {
    response.error = answer == Answer::kAbsent ? -ENOSYS : -EPERM;
  }
  return ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response) == 0;
}

bool SeccompListener::RespondResult(const Notification& notification, int64_t result) const {
  seccomp_notif_resp response{};
  response.id = notification.id;
  if (result < 0) {
    response.error = static_cast<int32_t>(result);
  } else {
    response.val = result;
  }
  return ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response) == 0;
}

bool SeccompListener::IsValid(const Notification& notification) const {
  uint64_t id = notification.id;
  return ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

}  // namespace bulkhead
