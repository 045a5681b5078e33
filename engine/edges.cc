// SPDX-License-Identifier: Apache-2.0
#include "engine/edges.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "engine/act_as.h"
#include "engine/secrets.h"
#include "engine/vsock_socket.h"

namespace bulkhead {
namespace {

using Result = tl::expected<void, EdgeError>;

constexpr unsigned kNoExecSeal = 0x0008;  // MFD_NOEXEC_SEAL, since Linux 6.3 (linux/memfd.h)

tl::unexpected<EdgeError> Error(std::string step, std::string object, int error = errno) {
  return tl::make_unexpected(EdgeError{std::move(step), error, std::move(object)});
}

// Made as root's, 0755, where it is missing. No part of the path may be a link: whoever compares
// paths has compared this one by its text.
tl::expected<Fd, EdgeError> OpenDirectory(const std::string& path) {
  Fd at(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (size_t from = 1; from < path.size();) {
    const size_t to = std::min(path.find('/', from), path.size());
    const std::string part = path.substr(from, to - from);
    const bool last = to == path.size();
    const mode_t mode = last ? 0700 : 0755;
    if (mkdirat(at.get(), part.c_str(), mode) != 0 && errno != EEXIST) {
      return Error("mkdir", path.substr(0, to));
    }
    const int flags = (last ? O_RDONLY : O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Fd next(openat(at.get(), part.c_str(), flags));
    if (!next) return Error("open without links", path.substr(0, to));
    at = std::move(next);
    from = to + 1;
  }
  return at;
}

Result MakeDirectory(const std::string& path, uint32_t uid, uint32_t gid, mode_t mode) {
  const auto fd = OpenDirectory(path);
  if (!fd) return tl::make_unexpected(fd.error());
  if (fchown(fd->get(), uid, gid) != 0) return Error("chown", path);
  if (fchmod(fd->get(), mode) != 0) return Error("chmod", path);
  return {};
}

tl::expected<Fd, EdgeError> UnixSocket(const std::string& path, int type, uint32_t gid,
                                       mode_t mode) {
  Fd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd) return Error("socket", path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error("bind", path, ENAMETOOLONG);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Error("unlink", path);
  // Its mode from the start, and its group without following a link.
  const mode_t before = umask(~mode & 0777);
  const bool bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  const int error = errno;
  umask(before);
  if (!bound) return Error("bind", path, error);
  if (lchown(path.c_str(), 0, gid) != 0) return Error("chown", path);
  return fd;
}

tl::expected<Fd, EdgeError> TcpSocket(const Listener& listener, const ConnectGuard* guard) {
  const std::string object = listener.address + ":" + std::to_string(listener.port);
  Fd fd;
  if (listener.guarded) {
    if (guard == nullptr) return Error("guard", object, ENOENT);
    const auto made = guard->MakeSocket(AF_INET, SOCK_STREAM);
    if (!made) return Error("guard (" + made.error().step + ")", object, made.error().error);
    fd = Fd(*made);
  } else {
    fd = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  if (!fd) return Error("socket", object);
  const int enable = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &enable, sizeof enable) != 0) {
    return Error("setsockopt", object);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(listener.port));
  if (inet_pton(AF_INET, listener.address.c_str(), &address.sin_addr) != 1) {
    return Error("address", object, EINVAL);
  }
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return Error("bind", object);
  }
  return fd;
}

// A directory that a component makes sockets in. Set-group-ID: they get the edge's group without a
// chown.
constexpr mode_t kServerMode = 02750;
constexpr size_t kMaxRemoved = 4096;  // in one turn: who made more does not hold up the loop

// Removes sockets, at most kMaxRemoved. True if none is left.
bool RemoveSockets(int directory) {
  std::vector<std::string> names;
  Fd listed(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!listed) return false;
  DIR* const list = fdopendir(listed.get());
  if (list == nullptr) return false;
  [[maybe_unused]] const int owned = listed.Release();
  bool whole = true;
  while (const dirent* entry = readdir(list)) {
    if (entry->d_type != DT_SOCK) continue;
    whole = names.size() < kMaxRemoved;
    if (!whole) break;
    names.emplace_back(entry->d_name);
  }
  closedir(list);
  for (const std::string& name : names) {
    whole &= unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT;
  }
  return whole;
}

// Those of an earlier supervisor, while no component runs; the first start says if any is left.
void RemoveAllSockets(const std::string& path) {
  const auto directory = OpenDirectory(path);
  if (!directory) return;
  constexpr int kTurns = 256;
  for (int turn = 0; turn < kTurns && !RemoveSockets(directory->get()); ++turn) {
  }
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

uint32_t EdgeGroup(const ProfileData& profile, const std::string& directory) {
  for (const EdgeDirectory& edge : profile.edges) {
    if (edge.path == directory) return edge.group;
  }
  return 0;
}

Result Directories(const Bundle& bundle) {
  for (const Profile& profile : bundle.components()) {
    for (const EdgeDirectory& edge : profile->edges) {
      const bool serves = edge.server;
      // A client's entry names the same directory: whoever serves it decides its owner.
      const bool other_serves =
          !serves && std::any_of(bundle.components().begin(), bundle.components().end(),
                                 [&](const Profile& other) {
                                   return std::any_of(other->edges.begin(), other->edges.end(),
                                                      [&](const EdgeDirectory& theirs) {
                                                        return theirs.path == edge.path &&
                                                               theirs.server;
                                                      });
                                 });
      if (other_serves) continue;
      auto made = MakeDirectory(edge.path, serves ? profile->uid : 0, edge.group,
                                serves ? kServerMode : 0750);
      if (!made) return made;
      if (serves) RemoveAllSockets(edge.path);
    }
  }
  return {};
}

tl::expected<Fd, EdgeError> OpenListener(const Profile& profile, const Listener& listener,
                                         const ConnectGuard* guard) {
  if (listener.kind == ListenerKind::kTcp) return TcpSocket(listener, guard);
  if (listener.kind == ListenerKind::kVsock) return VsockSocket(listener);
  return UnixSocket(listener.path, SOCK_STREAM, EdgeGroup(*profile, ParentOf(listener.path)), 0660);
}

Result Listeners(const Profile& profile, Handover& handover, const ConnectGuard* guard) {
  for (const Listener& listener : profile->listeners) {
    auto fd = OpenListener(profile, listener, guard);
    if (!fd) return tl::make_unexpected(fd.error());
    handover.fds.push_back({listener.name, std::move(*fd)});
  }
  return {};
}

// Closing can take as long as whoever had the socket likes (SO_LINGER on a connection that waits in
// it). A child that exits holds the last copy: exiting does not linger.
bool CloseInChild(Fd& fd) {
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) return false;
  const Fd wait(gate[0]);
  Fd open(gate[1]);
  const long child = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child < 0) return false;
  if (child == 0) {
    // The parent's end of the pipe is open here, too.
    syscall(SYS_close, gate[1]);
    char none = 0;
    while (syscall(SYS_read, gate[0], &none, 1) < 0) {
    }
    for (;;) syscall(SYS_exit_group, 0);
  }
  fd.Reset();
  open.Reset();
  return true;
}

Result Secrets(const Profile& profile, Handover& handover) {
  for (const Secret& secret : profile->secrets) {
    auto fd = ReadSecret(secret);
    if (!fd) return tl::make_unexpected(fd.error());
    handover.secrets.push_back({secret.name, std::move(*fd)});
  }
  return {};
}

Result NotifyDirectory(const Profile& profile, const std::string& run_directory,
                       Handover& handover) {
  if (profile->lifecycle.ready.kind != ReadyKind::kNotify) return {};
  handover.notify_directory = run_directory + "/notify/" + profile->name;
  return MakeDirectory(handover.notify_directory, 0, profile->gid, 0750);
}

struct Pair {
  Fd from;
  Fd to;
};

// Each end is made under the uid of the component it stands for, so that SO_PEERCRED names the
// peer and never root: one listens and accepts as `to`, one connects as `from`. The address is an
// autobound abstract one that exists only for this moment.
tl::expected<Pair, EdgeError> Connected(const Channel& channel, const Profile& from,
                                        const Profile& to) {
  const int type =
      (channel.kind == ChannelKind::kMessages ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC;
  Pair pair;
  Fd listener(socket(AF_UNIX, type, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof address.sun_family;
  if (!listener || bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) {
    return Error("bind", channel.name);
  }
  size = sizeof address;
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return Error("getsockname", channel.name);
  }
  {
    const ActAs as_to(to);
    if (!as_to.ok() || listen(listener.get(), 1) != 0) return Error("listen", channel.name);
  }
  {
    const ActAs as_from(from);
    pair.from = Fd(socket(AF_UNIX, type, 0));
    if (!as_from.ok() || !pair.from ||
        connect(pair.from.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) {
      return Error("connect", channel.name);
    }
  }
  pair.to = Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!pair.to) return Error("accept", channel.name);
  // Somebody else may have been quicker to an abstract name: the peer must be who we made.
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(pair.to.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
      peer.uid != from->uid || peer.pid != getpid()) {
    return Error("accept", channel.name, EPERM);
  }
  return pair;
}

tl::expected<Pair, EdgeError> Pipe(const Channel& channel) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error("pipe", channel.name);
  Pair pair;
  pair.from = Fd(ends[1]);
  pair.to = Fd(ends[0]);
  return pair;
}

// A file in memory, root's, whose size is sealed: no end can shrink it under the other. The
// reader's descriptor does not write, and the file's mode gives it none that does.
tl::expected<Pair, EdgeError> Memory(const Channel& channel) {
  const auto fail = [&](const char* step) { return Error(step, channel.name); };
  Pair pair;
  pair.from = Fd(memfd_create("channel", MFD_CLOEXEC | MFD_ALLOW_SEALING | kNoExecSeal));
  if (!pair.from && errno == EINVAL) {
    pair.from = Fd(memfd_create("channel", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  }
  if (!pair.from) return fail("memfd_create");
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (fchmod(pair.from.get(), 0444) != 0 ||
      ftruncate(pair.from.get(), static_cast<off_t>(channel.size)) != 0 ||
      fcntl(pair.from.get(), F_ADD_SEALS, kSeals) != 0) {
    return fail("seal");
  }
  const std::string again = "/proc/self/fd/" + std::to_string(pair.from.get());
  pair.to = Fd(open(again.c_str(), O_RDONLY | O_CLOEXEC));
  if (!pair.to) return fail("open");
  return pair;
}

tl::expected<Pair, EdgeError> PairOf(const Channel& channel, const Profile& from,
                                     const Profile& to) {
  if (channel.kind == ChannelKind::kPipe) return Pipe(channel);
  if (channel.kind == ChannelKind::kMemory) return Memory(channel);
  return Connected(channel, from, to);
}

Result Channels(const Bundle& bundle, std::map<std::string, Handover>& handovers) {
  for (const Channel& channel : bundle->channels) {
    if (channel.kind == ChannelKind::kConnected) {
      handovers[channel.from].fds.push_back({channel.name, Fd()});
      continue;
    }
    const Profile& from = *bundle.Find(channel.from);
    const Profile& to = *bundle.Find(channel.to);
    auto pair = PairOf(channel, from, to);
    if (!pair) return tl::make_unexpected(pair.error());
    handovers[channel.from].fds.push_back({channel.name, std::move(pair->from)});
    handovers[channel.to].fds.push_back({channel.name, std::move(pair->to)});
  }
  return {};
}

}  // namespace

tl::expected<std::map<std::string, Handover>, EdgeError> LayOut(const Bundle& bundle,
                                                                const std::string& run_directory,
                                                                const ConnectGuard* guard) {
  std::map<std::string, Handover> handovers;
  if (auto made = Directories(bundle); !made) return tl::make_unexpected(made.error());
  for (const Profile& profile : bundle.components()) {
    Handover& handover = handovers[profile->name];
    if (auto made = Listeners(profile, handover, guard); !made)
      return tl::make_unexpected(made.error());
    if (auto read = Secrets(profile, handover); !read) return tl::make_unexpected(read.error());
    if (auto made = NotifyDirectory(profile, run_directory, handover); !made) {
      return tl::make_unexpected(made.error());
    }
  }
  if (auto made = Channels(bundle, handovers); !made) return tl::make_unexpected(made.error());
  return handovers;
}

tl::expected<Fd, EdgeError> MakeNotifySocket(const Profile& profile, const Handover& handover) {
  if (handover.notify_directory.empty()) return Fd();
  auto fd = UnixSocket(handover.notify_directory + "/socket", SOCK_DGRAM | SOCK_NONBLOCK,
                       profile->gid, 0660);
  if (!fd) return fd;
  const int enable = 1;
  if (setsockopt(fd->get(), SOL_SOCKET, SO_PASSCRED, &enable, sizeof enable) != 0) {
    return Error("setsockopt", handover.notify_directory);
  }
  return fd;
}

tl::expected<void, EdgeError> Listen(const Profile& profile, Handover& handover) {
  constexpr int kBacklog = 128;  // as of those that components listen on themselves
  for (size_t i = 0; i < profile->listeners.size(); ++i) {
    const int fd = handover.fds[i].fd.get();
    const ActAs as_component(profile);
    if (!as_component.ok() || listen(fd, kBacklog) != 0) {
      return Error("listen", profile->listeners[i].name);
    }
    if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
      return Error("fcntl", profile->listeners[i].name);
    }
  }
  return {};
}

void CloseElsewhere(Fd& fd) {
  if (!fd || CloseInChild(fd)) return;
  // Without a child it stays open rather than holding up the supervisor.
  [[maybe_unused]] const int left = fd.Release();
}

// The child has this process's descriptors, not copies of them.
pid_t CloseFileElsewhere(Fd& fd) {
  constexpr int kMostTurns = 100'000;
  const int number = fd.Release();
  if (number < 0) return -1;
  const long child = syscall(SYS_clone, SIGCHLD | CLONE_FILES, nullptr, nullptr, nullptr, nullptr);
  if (child > 0) {
    // It is out of the table before its file system is asked to flush (close(2)). Until then, what
    // is forked from here would have it, too. The bound is for a child that was killed before.
    for (int turn = 0; turn < kMostTurns && fcntl(number, F_GETFD) >= 0; ++turn) sched_yield();
  }
  if (child != 0) return static_cast<pid_t>(child);
  // While it waits what it shares would outlive this process.
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  syscall(SYS_close, number);
  for (;;) syscall(SYS_exit_group, 0);
}

void CloseListeners(const Profile& profile, Handover& handover) {
  for (size_t i = 0; i < profile->listeners.size(); ++i) {
    Fd& fd = handover.fds[i].fd;
    if (!fd) continue;
    // Whoever it was passed to listens no more, and a port is free. A unix socket stays shut for
    // good (net/unix/af_unix.c: unix_stream_connect, unix_accept).
    shutdown(fd.get(), SHUT_RDWR);
    CloseElsewhere(fd);
  }
}

tl::expected<void, EdgeError> RestoreListeners(const Profile& profile, Handover& handover,
                                               const ConnectGuard* guard) {
  for (size_t i = 0; i < profile->listeners.size(); ++i) {
    const Listener& listener = profile->listeners[i];
    Fd& fd = handover.fds[i].fd;
    if (!fd) {
      auto opened = OpenListener(profile, listener, guard);
      if (!opened) return tl::make_unexpected(opened.error());
      fd = std::move(*opened);
    }
    const int flags = listener.nonblocking ? O_RDWR | O_NONBLOCK : O_RDWR;
    if (fcntl(fd.get(), F_SETFL, flags) != 0) return Error("fcntl", listener.name);
  }
  return {};
}

void CloseEdges(const Profile& profile) {
  for (const EdgeDirectory& edge : profile->edges) {
    if (!edge.server) continue;
    const auto directory = OpenDirectory(edge.path);
    if (!directory) continue;  // the next start says so
    // What is left of too many is out of the clients' reach.
    if (!RemoveSockets(directory->get())) fchmod(directory->get(), 0);
  }
}

tl::expected<void, EdgeError> RestoreEdges(const Profile& profile) {
  for (const EdgeDirectory& edge : profile->edges) {
    if (!edge.server) continue;
    const auto directory = OpenDirectory(edge.path);
    if (!directory) return tl::make_unexpected(directory.error());
    if (!RemoveSockets(directory->get())) return Error("empty of sockets", edge.path, EBUSY);
    if (fchmod(directory->get(), kServerMode) != 0) return Error("chmod", edge.path);
  }
  return {};
}

}  // namespace bulkhead
