// SPDX-License-Identifier: Apache-2.0
#include "engine/caller.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace bulkhead {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kMaxAddress = 128;

std::string LinkText(const std::string& link) {
  std::array<char, kPage> text{};
  const ssize_t size = readlink(link.c_str(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : std::string();
}

std::string ProcOf(pid_t pid, const std::string& name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

std::string Normal(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t from = 0; from < path.size();) {
    const size_t end = std::min(path.find('/', from), path.size());
    std::string part = path.substr(from, end - from);
    from = end + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(std::move(part));
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string normal;
  for (const std::string& part : parts) normal += "/" + part;
  return normal.empty() ? "/" : normal;
}

Fd OpenIn(pid_t pid, const std::string& path) {
  const Fd root(open(ProcOf(pid, "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return {};
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  return Fd(static_cast<int>(syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
}

char TypeOf(mode_t mode) {
  if (S_ISREG(mode)) return 'f';
  if (S_ISDIR(mode)) return 'd';
  if (S_ISSOCK(mode)) return 's';
  if (S_ISFIFO(mode)) return 'p';
  return S_ISCHR(mode) ? 'c' : 'b';
}

bool Permits(const struct stat& info, const Identity& who, unsigned wanted) {
  unsigned shift = 0;
  if (info.st_uid == who.uid) {
    shift = 6;
  } else if (info.st_gid == who.gid) {
    shift = 3;
  }
  return ((info.st_mode >> shift) & wanted) == wanted;
}

std::string PortText(const char* kind, int family, const void* address, uint16_t port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, address, text.data(), text.size());
  const bool bare = family == AF_INET;
  return std::string(kind) + (bare ? " " : " [") + text.data() + (bare ? ":" : "]:") +
         std::to_string(ntohs(port));
}

}  // namespace

std::optional<std::string> ReadText(pid_t pid, uint64_t address) {
  std::string text;
  // Page by page: what lies behind the text may not be mapped.
  while (text.size() < kPage) {
    std::array<char, kPage> bytes;
    const size_t size = kPage - address % kPage;
    iovec local{bytes.data(), size};
    iovec remote{std::bit_cast<void*>(address), size};
    const ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (got <= 0) return std::nullopt;
    const auto* end = static_cast<const char*>(std::memchr(bytes.data(), 0, size));
    if (end != nullptr) return text.append(bytes.data(), static_cast<size_t>(end - bytes.data()));
    text.append(bytes.data(), size);
    address += size;
  }
  return std::nullopt;
}

std::optional<std::string> ReadBytes(pid_t pid, uint64_t address, size_t size) {
  if (address == 0 || size == 0 || size > kMaxAddress) return std::nullopt;
  std::string bytes(size, '\0');
  iovec local{bytes.data(), size};
  iovec remote{std::bit_cast<void*>(address), size};
  if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(size)) {
    return std::nullopt;
  }
  return bytes;
}

std::string AbsolutePath(pid_t pid, int directory, const std::string& path) {
  if (path.starts_with('/')) return Normal(path);
  const std::string name = directory == AT_FDCWD ? "cwd" : "fd/" + std::to_string(directory);
  const std::string base = LinkText(ProcOf(pid, name));
  return base.starts_with('/') ? Normal(base + "/" + path) : std::string();
}

PathTarget FollowPath(pid_t pid, const std::string& path, const Identity& who, unsigned wanted) {
  PathTarget target;
  struct stat info {};
  const Fd opened = OpenIn(pid, path);
  if (opened && fstat(opened.get(), &info) == 0) {
    target.type = TypeOf(info.st_mode);
    target.real = LinkText("/proc/self/fd/" + std::to_string(opened.get()));
    target.permitted = Permits(info, who, wanted);
    return target;
  }
  const std::string above = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
  const Fd parent = OpenIn(pid, above);
  if (parent && fstat(parent.get(), &info) == 0 && S_ISDIR(info.st_mode)) {
    target.real = LinkText("/proc/self/fd/" + std::to_string(parent.get()));
    const char* name = path.c_str() + path.rfind('/') + 1;
    target.dangling = fstatat(parent.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0;
  }
  return target;
}

Fd CopyOf(pid_t pid, int descriptor) {
  // A descriptor of processes stands for the first thread of one; threads share descriptors.
  const std::string status = ProcOf(pid, "status");
  const Fd file(open(status.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, kPage> text{};
  if (!file || read(file.get(), text.data(), text.size() - 1) <= 0) return {};
  const char* group = std::strstr(text.data(), "\nTgid:");
  if (group == nullptr) return {};
  const auto leader = static_cast<pid_t>(std::strtol(group + 6, nullptr, 10));
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, leader, 0)));
  if (!process) return {};
  return Fd(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), descriptor, 0)));
}

std::string AddressText(const std::string& bytes, int socket_type) {
  sa_family_t family = AF_UNSPEC;
  if (bytes.size() < sizeof family) return {};
  std::memcpy(&family, bytes.data(), sizeof family);
  const char* kind = socket_type == SOCK_STREAM ? "tcp" : "udp";
  if (family == AF_INET && bytes.size() >= sizeof(sockaddr_in)) {
    sockaddr_in address{};
    std::memcpy(&address, bytes.data(), sizeof address);
    return PortText(kind, AF_INET, &address.sin_addr, address.sin_port);
  }
  if (family == AF_INET6 && bytes.size() >= sizeof(sockaddr_in6)) {
    sockaddr_in6 address{};
    std::memcpy(&address, bytes.data(), sizeof address);
    return PortText(kind, AF_INET6, &address.sin6_addr, address.sin6_port);
  }
  if (family == AF_UNIX) {
    std::string path = bytes.substr(offsetof(sockaddr_un, sun_path));
    if (path.starts_with('\0')) return "unix @" + path.substr(1);
    path.resize(std::min(path.find('\0'), path.size()));
    return "unix " + path;
  }
  return "family " + std::to_string(family);
}

std::string ExeOf(pid_t pid) { return LinkText(ProcOf(pid, "exe")); }

}  // namespace bulkhead
