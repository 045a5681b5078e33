// SPDX-License-Identifier: Apache-2.0
#include "sandbox/witness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "sandbox/directory.h"
#include "sandbox/launch.h"

namespace bulkhead {
namespace {

long TryOpen(Kernel& kernel, const Trial& trial) {
  const long fd =
      kernel(SYS_openat, AT_FDCWD, trial.path.c_str(), trial.args[0] | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return fd;
  kernel(SYS_close, fd);
  return 0;
}

long TryIds(Kernel& kernel, const Trial& trial) {
  uint32_t ids[3] = {};
  if (const long got = kernel(trial.number, &ids[0], &ids[1], &ids[2]); got < 0) return got;
  for (const uint32_t id : ids) {
    if (id != trial.args[0]) return -EPERM;
  }
  return 0;
}

long TryGroups(Kernel& kernel, const ProfileData& profile) {
  std::array<uint32_t, 128> groups{};
  const long count = kernel(SYS_getgroups, groups.size(), groups.data());
  if (count < 0) return count;
  if (static_cast<size_t>(count) != profile.groups.size()) return -EPERM;
  const size_t size = profile.groups.size() * sizeof(uint32_t);
  return size == 0 || std::memcmp(groups.data(), profile.groups.data(), size) == 0 ? 0 : -EPERM;
}

long TryCapabilities(Kernel& kernel) {
  const __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  data[0].permitted = ~0U;
  if (const long got = kernel(SYS_capget, &header, &data); got < 0) return got;
  for (const __user_cap_data_struct& half : data) {
    if ((half.effective | half.permitted | half.inheritable) != 0) return -EPERM;
  }
  return 0;
}

long TryLimit(Kernel& kernel, const Trial& trial) {
  rlimit64 limit{};
  const long got = kernel(SYS_prlimit64, 0, trial.args[0], nullptr, &limit);
  if (got < 0) return got;
  const auto wanted = static_cast<uint64_t>(trial.args[1]);
  return limit.rlim_cur == wanted && limit.rlim_max == wanted ? 0 : -EPERM;
}

long TryMount(Kernel& kernel, const Trial& trial) {
  // Of statfs(2); the bits are those of mount(2).
  constexpr long kMountFlags = 1 | 2 | 4 | 8;  // read-only, nosuid, nodev, noexec
  struct statfs info {};
  if (const long got = kernel(SYS_statfs, trial.path.c_str(), &info); got < 0) return got;
  return (info.f_flags & kMountFlags) == trial.args[0] ? 0 : -EPERM;
}

long TryDescriptors(Kernel& kernel, const Trial& trial) {
  const long directory =
      kernel(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return directory;
  const long found = EachEntry(kernel, directory, [&](const char* name, uint8_t) -> long {
    const long number = NumberOf(name);
    return number >= trial.args[0] && number != directory ? -EPERM : 0;
  });
  const long closed = kernel(SYS_close, directory);
  return found < 0 ? found : closed;
}

long TryCgroup(Kernel& kernel, const Trial& trial) {
  const long file = kernel(SYS_openat, AT_FDCWD, "/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
  if (file < 0) return file;
  std::array<char, 4096> text{};
  const long size = kernel(SYS_read, file, text.data(), text.size());
  kernel(SYS_close, file);
  if (size < 0) return size;
  const std::string_view lines(text.data(), static_cast<size_t>(size));
  long found = 0;
  for (size_t at = 0; (at = lines.find(trial.other, at)) != std::string_view::npos; ++at) ++found;
  return found >= trial.args[0] ? 0 : -EPERM;
}

long TryNamespace(Kernel& kernel, const Trial& trial) {
  std::array<char, 64> text{};
  const long size =
      kernel(SYS_readlinkat, AT_FDCWD, trial.path.c_str(), text.data(), text.size() - 1);
  if (size < 0) return size;
  return std::string_view(text.data(), static_cast<size_t>(size)) == trial.other ? -EPERM : 0;
}

long TryPort(Kernel& kernel, long number) {
  const long fd = kernel(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const long result = kernel(number, fd, &address, sizeof address);
  kernel(SYS_close, fd);
  return result;
}

long TryAbstract(Kernel& kernel, const char* address, unsigned size) {
  const long fd = kernel(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const long result = kernel(SYS_connect, fd, address, size);
  kernel(SYS_close, fd);
  return result;
}

}  // namespace

long DecoySocket::Make(Kernel& kernel, const Witness& witness) {
  bool needed = false;
  for (const Trial& trial : witness.trials) needed = needed || trial.kind == TrialKind::kAbstract;
  if (!needed) return 0;
  fd_ = kernel(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return fd_;
  // A name that the kernel chooses: zero and five digits.
  const sa_family_t family = AF_UNIX;
  if (const long bound = kernel(SYS_bind, fd_, &family, sizeof family); bound < 0) return bound;
  size_ = sizeof address_;
  return kernel(SYS_getsockname, fd_, address_, &size_);
}

long DecoySocket::Close(Kernel& kernel) {
  if (fd_ < 0) return 0;
  const long closed = kernel(SYS_close, fd_);
  fd_ = -1;
  return closed;
}

bool TryAll(Kernel& kernel, const LaunchPlan& plan, TrialPhase phase, const DecoySocket& decoy,
            Failure& failure) {
  const auto answer = [&](const Trial& trial) -> long {
    switch (trial.kind) {
      case TrialKind::kCall:
        return kernel(trial.number, trial.args[0], trial.args[1], trial.args[2], trial.args[3],
                      trial.args[4], trial.args[5]);
      case TrialKind::kOpen:
        return TryOpen(kernel, trial);
      case TrialKind::kIds:
        return TryIds(kernel, trial);
      case TrialKind::kGroups:
        return TryGroups(kernel, *plan.profile);
      case TrialKind::kCapabilities:
        return TryCapabilities(kernel);
      case TrialKind::kLimit:
        return TryLimit(kernel, trial);
      case TrialKind::kMount:
        return TryMount(kernel, trial);
      case TrialKind::kDescriptors:
        return TryDescriptors(kernel, trial);
      case TrialKind::kCgroup:
        return TryCgroup(kernel, trial);
      case TrialKind::kNamespace:
        return TryNamespace(kernel, trial);
      case TrialKind::kBind:
        return TryPort(kernel, SYS_bind);
      case TrialKind::kConnect:
        return TryPort(kernel, SYS_connect);
      case TrialKind::kAbstract:
        return TryAbstract(kernel, decoy.address_, decoy.size_);
    }
    return -ENOSYS;
  };
  const std::vector<Trial>& trials = plan.witness.trials;
  for (size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].phase != phase) continue;
    const long got = answer(trials[i]);
    if (got == trials[i].expected) continue;
    failure = {Step::kWitness, static_cast<uint32_t>(i), got < 0 ? static_cast<int32_t>(-got) : 0};
    return false;
  }
  return true;
}

}  // namespace bulkhead
