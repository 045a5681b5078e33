// SPDX-License-Identifier: Apache-2.0
#include "engine/observer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <string_view>

#include "engine/caller.h"
#include "engine/observed_call.h"
#include "profiles/outer_bounds.h"
#include "profiles/syscalls.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxMessage = 16384;
constexpr size_t kMaxTold = 4095;  // bytes of each text
constexpr std::string_view kSeveral = "(several)";

// One message: this, then the texts one after the other.
struct Head {
  Observation::Verdict verdict;
  int32_t pid;
  uint64_t count;
  uint16_t sizes[5];
  uint16_t last;  // 1: the end, without texts
};

std::string Encode(const Observation& told) {
  Head head{told.verdict, told.pid, told.count, {}, 0};
  std::string texts;
  const std::string* const all[] = {&told.control, &told.action, &told.object, &told.real,
                                    &told.exe};
  for (size_t i = 0; i < std::size(all); ++i) {
    const size_t size = std::min(all[i]->size(), i < 2 ? size_t{64} : kMaxTold);
    head.sizes[i] = static_cast<uint16_t>(size);
    texts.append(*all[i], 0, size);
  }
  return std::string(reinterpret_cast<const char*>(&head), sizeof head) + texts;
}

// What the supervisor reads comes from a program of ours, and is checked all the same.
bool Decode(std::string_view bytes, Head& head, Observation& told) {
  if (bytes.size() < sizeof head) return false;
  std::memcpy(&head, bytes.data(), sizeof head);
  bytes.remove_prefix(sizeof head);
  if (head.verdict > Observation::Verdict::kAbsent) return false;
  std::string* const all[] = {&told.control, &told.action, &told.object, &told.real, &told.exe};
  for (size_t i = 0; i < std::size(all); ++i) {
    if (bytes.size() < head.sizes[i]) return false;
    *all[i] = bytes.substr(0, head.sizes[i]);
    bytes.remove_prefix(head.sizes[i]);
  }
  told.verdict = head.verdict;
  told.pid = head.pid;
  told.count = head.count;
  return bytes.empty();
}

// In the observer's process.
class Watcher {
 public:
  Watcher(const SeccompListener& listener, int supervisor, const ProfileData& profile)
      : listener_(listener), supervisor_(supervisor), profile_(profile) {}

  void Run() {
    for (;;) {
      Notification call;
      // The supervisor's end is closed when the run is over for it, whatever the listener says.
      std::array<pollfd, 2> ready{{{listener_.fd(), POLLIN, 0}, {supervisor_, 0, 0}}};
      if (poll(ready.data(), ready.size(), -1) < 0) continue;
      if (ready[1].revents != 0) return;
      const SeccompListener::State state = listener_.Receive(call);
      if (state == SeccompListener::State::kClosed) return Finish();
      if (state == SeccompListener::State::kCall) Handle(call);
    }
  }

 private:
  struct Kind {
    uint64_t told = 0;
    Observation pending;
  };

  void Handle(const Notification& call) {
    const auto& absent = profile_.absent;
    Observation base;
    base.pid = call.pid;
    base.exe = ExeOf(call.pid);
    if (std::binary_search(absent.begin(), absent.end(), call.data.nr)) {
      base.verdict = Observation::Verdict::kAbsent;
    } else if (IsOutOfBounds(profile_.arch, call.data)) {
      base.verdict = Observation::Verdict::kRefused;
    }
    const std::string_view known = SyscallName(profile_.arch, call.data.nr);
    const std::string name =
        known.empty() ? "syscall " + std::to_string(call.data.nr) : std::string(known);
    Observation made = base;
    made.control = "seccomp";
    made.action = name;
    made.object = ToldArguments(profile_.arch, call.data);
    Count(std::move(made));
    if (base.verdict == Observation::Verdict::kPassed) {
      const PathArguments paths = PathsOf(name);
      for (const auto& path : {paths.first, paths.second}) {
        if (path) Path(base, call, *path);
      }
      Address(base, call, name);
    }
    listener_.Respond(call, AnswerFor(base.verdict));
  }

  static Answer AnswerFor(Observation::Verdict verdict) {
    switch (verdict) {
      case Observation::Verdict::kAbsent:
        return Answer::kAbsent;
      case Observation::Verdict::kRefused:
        return Answer::kRefuse;
      case Observation::Verdict::kPassed:
        return Answer::kContinue;
    }
    return Answer::kRefuse;
  }

  void Path(const Observation& base, const Notification& call, const PathArgument& argument) {
    const auto text = ReadText(call.pid, call.data.args[argument.path]);
    if (!text || text->empty()) return;
    const int directory =
        argument.directory < 0 ? AT_FDCWD : static_cast<int>(call.data.args[argument.directory]);
    const std::string path = AbsolutePath(call.pid, directory, *text);
    // Its own processes are no files of the enclave.
    if (path.empty() || path == "/proc" || path.starts_with("/proc/")) return;
    const uint64_t flags = argument.flags < 0 ? 0 : call.data.args[argument.flags];
    const Identity who{profile_.uid, profile_.gid};
    const PathTarget target = FollowPath(call.pid, path, who, Wanted(argument.use, flags));
    Observation told = base;
    told.control = "files";
    told.action = ActionOf(argument.use, flags, target);
    // What isn't there is probed for and not needed.
    if (told.action.empty() || (target.type == '-' && told.action != "create")) return;
    if (!told.action.starts_with("create") && !target.permitted) told.action += "-not-permitted";
    told.object = path;
    told.real = std::string(1, target.type) + target.real;
    // A file without a name is made in that directory, not the directory.
    if (argument.use == PathUse::kOpen && (flags & O_TMPFILE) == O_TMPFILE) {
      told.object = (path == "/" ? "" : path) + "/unnamed";
      told.real = "-" + target.real;
    }
    if (listener_.IsValid(call)) Count(std::move(told));
  }

  static unsigned Wanted(PathUse use, uint64_t flags) {
    constexpr unsigned kRead = 4;
    constexpr unsigned kWrite = 2;
    if (use == PathUse::kExecute) return 1;
    if (use == PathUse::kWrite) return kWrite;
    if (use != PathUse::kOpen || (flags & O_PATH) != 0) return 0;
    const uint64_t access = flags & O_ACCMODE;
    return access == O_RDONLY ? kRead : access == O_WRONLY ? kWrite : kRead | kWrite;
  }

  static std::string ActionOf(PathUse use, uint64_t flags, const PathTarget& target) {
    const char type = target.type;
    const bool there = type != '-' || target.dangling;
    switch (use) {
      case PathUse::kExecute:
        return "execute";
      case PathUse::kLook:
        return "look";
      case PathUse::kWrite:
        return "write";
      case PathUse::kMake:
        return "create";
      case PathUse::kNew:  // else it fails, and nothing is made
        return there ? "look" : "create";
      case PathUse::kRemove:
        return there ? "create" : "";
      case PathUse::kMetadata:
        return "metadata";
      case PathUse::kOpen:
        break;
    }
    if ((flags & O_PATH) != 0) return "look";
    if ((flags & O_TMPFILE) == O_TMPFILE) return "create";
    if (type == '-') return (flags & O_CREAT) != 0 ? "create" : "";
    if (type == 'd') return "list";
    return (flags & (O_ACCMODE | O_TRUNC)) != 0 ? "write" : "read";
  }

  void Address(const Observation& base, const Notification& call, const std::string& name) {
    const bool sends = name == "sendto";
    if (!sends && name != "bind" && name != "connect") return;
    const auto& args = call.data.args;
    const auto bytes = ReadBytes(call.pid, args[sends ? 4 : 1], args[sends ? 5 : 2] & 0xffffffff);
    if (!bytes) return;
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;
    const Fd copy = CopyOf(call.pid, static_cast<int>(args[0]));
    if (copy) getsockopt(copy.get(), SOL_SOCKET, SO_TYPE, &type, &size);
    Observation told = base;
    told.control = "network";
    told.action = sends ? "send" : name;
    told.object = AddressText(*bytes, type);
    if (told.object.starts_with("unix ") && !told.object.starts_with("unix @")) {
      const std::string path = AbsolutePath(call.pid, AT_FDCWD, told.object.substr(5));
      const PathTarget target = FollowPath(call.pid, path, {profile_.uid, profile_.gid}, 0);
      if (target.type == '-' && name != "bind") return;  // nobody there
      told.object = "unix " + path;
      told.real = std::string(1, target.type) + target.real;
    }
    if (!told.object.empty() && listener_.IsValid(call)) Count(std::move(told));
  }

  void Count(Observation seen) {
    std::string key = seen.control;
    for (const std::string* text : {&seen.action, &seen.object}) key.append(1, '\0').append(*text);
    key += static_cast<char>('0' + static_cast<uint32_t>(seen.verdict));
    auto found = kinds_.find(key);
    if (found == kinds_.end() && (kinds_.size() >= kMaxKinds || held_ >= kMaxKindBytes)) {
      // Never one that was refused with one that passed.
      key = seen.control + '\0' + seen.action + '\0' + std::string(kSeveral) +
            static_cast<char>('0' + static_cast<uint32_t>(seen.verdict));
      seen.object = kSeveral;
      seen.real.clear();
      found = kinds_.find(key);
    }
    if (found == kinds_.end()) {
      held_ += 2 * key.size() + seen.real.size() + seen.exe.size() + sizeof(Kind);
      found = kinds_.emplace(std::move(key), Kind()).first;
    }
    Kind& kind = found->second;
    seen.count = kind.pending.count + 1;
    kind.pending = std::move(seen);
    if (kind.pending.count > kind.told) Tell(kind);
  }

  void Tell(Kind& kind) {
    const std::string message = Encode(kind.pending);
    // Waits for the supervisor, which never waits for us.
    if (send(supervisor_, message.data(), message.size(), MSG_NOSIGNAL) < 0) _exit(1);
    kind.told += kind.pending.count;
    kind.pending.count = 0;
  }

  void Finish() {
    for (auto& [key, kind] : kinds_) {
      if (kind.pending.count != 0) Tell(kind);
    }
    Head head{};
    head.last = 1;
    send(supervisor_, &head, sizeof head, MSG_NOSIGNAL);
  }

  const SeccompListener& listener_;
  int supervisor_;
  const ProfileData& profile_;
  std::map<std::string, Kind> kinds_;
  size_t held_ = 0;  // bytes of them
};

void CloseAllBut(int one, int other) {
  const auto low = static_cast<unsigned>(std::min(one, other));
  const auto high = static_cast<unsigned>(std::max(one, other));
  syscall(SYS_close_range, 3U, low - 1, 0U);
  if (high > low + 1) syscall(SYS_close_range, low + 1, high - 1, 0U);
  syscall(SYS_close_range, high + 1, ~0U, 0U);
}

[[noreturn]] void Watch(const SeccompListener& listener, int supervisor, pid_t parent,
                        const ProfileData& profile) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  prctl(PR_SET_NAME, "observer");
  CloseAllBut(listener.fd(), supervisor);
  Watcher(listener, supervisor, profile).Run();
  _exit(0);
}

}  // namespace

std::optional<Observer> Observer::Start(const SeccompListener& listener, const Profile& profile) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return std::nullopt;
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return std::nullopt;
  if (child == 0) Watch(listener, theirs.get(), parent, *profile);
  return Observer(std::move(ours));
}

Observer::State Observer::Receive(Observation& observation) {
  std::array<char, kMaxMessage> bytes;
  const ssize_t size = recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return State::kNothing;
  if (size <= 0) return whole_ ? State::kEnded : State::kLost;
  Head head{};
  if (!Decode({bytes.data(), static_cast<size_t>(size)}, head, observation)) return State::kLost;
  if (head.last == 0) return State::kTold;
  whole_ = true;
  return State::kEnded;
}

}  // namespace bulkhead
