// SPDX-License-Identifier: Apache-2.0
// Rules on what may be made where, and on what is seen, and what is made or shown all the same.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "profiles/landlock.h"
#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

// --- files-hard-links, files-special -------------------------------------------------------------

Result Made(const std::string& path, long answer) {
  const Result result = Answer(answer);
  unlink(path.c_str());
  return result;
}

Result CreatesFile(Place& place) {
  const std::string path = place.own + "/made";
  return Made(path, open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
Result MakesSymbolicLink(Place& place) {
  const std::string path = place.own + "/symbolic";
  return Made(path, symlinkat("made", AT_FDCWD, path.c_str()));
}
// Leaves a node where the file was.
Result MakesWhiteout(Place& place) {
  const std::string from = place.own + "/whiteout";
  const std::string to = place.own + "/renamed";
  const int fd = open(from.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  close(fd);
  constexpr unsigned kWhiteout = 4;  // RENAME_WHITEOUT
  const Result result =
      Answer(syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), kWhiteout));
  unlink(from.c_str());
  unlink(to.c_str());
  return result;
}

Result MakesFifo(Place& place) {
  const std::string path = place.own + "/fifo";
  return Made(path, mknodat(AT_FDCWD, path.c_str(), S_IFIFO | 0600, 0));
}
Result MakesSocketNode(Place& place) {
  const std::string path = place.own + "/socket";
  return Made(path, mknodat(AT_FDCWD, path.c_str(), S_IFSOCK | 0600, 0));
}
Result MakesHardLink(Place& place) {
  const std::string from = place.own + "/from";
  const std::string path = place.own + "/hard";
  const int fd = open(from.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  close(fd);
  const Result result = Made(path, linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path.c_str(), 0));
  unlink(from.c_str());
  return result;
}

constexpr uint64_t kFiles = landlock::kWriteFile | landlock::kReadFile | landlock::kMakeReg |
                            landlock::kMakeDir | landlock::kRemoveFile | landlock::kRemoveDir;

// Files may be made beneath one directory, nothing else.
void CreateOnly(Place& place) {
  Restrict({.files = landlock::FileRights(landlock::kLogAbi), .paths = {{place.own, kFiles}}});
}
// No files may be made; nobody has thought of what is no file.
void NoFiles(Place& place) {
  Restrict({.files = kFiles, .paths = {{place.granted, landlock::kReadFile}}});
}

// --- files-mounts, files-proc --------------------------------------------------------------------

// A view: something empty is mounted over what is not to be seen.
void HideOthers(Place& place) {
  Needed(unshare(CLONE_NEWNS), "a mount namespace");
  const std::string others = Directory(place.decoy);
  Needed(mount("tmpfs", others.c_str(), "tmpfs", MS_RDONLY, nullptr), "a view");
}

Result Unmounts(Place& place) {
  if (umount2(Directory(place.decoy).c_str(), MNT_DETACH) != 0) return errno;
  return ReadsDecoy(place);
}
Result MountsBeneath(Place& place) {
  // A copy of the mount alone: what is mounted on it is not part of it.
  const std::string above = Directory(Directory(place.decoy));
  const auto tree = static_cast<int>(
      syscall(SYS_open_tree, AT_FDCWD, above.c_str(), 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC));
  if (tree < 0) return errno;
  const std::string path = place.decoy.substr(above.size() + 1);
  return Answer(openat(tree, path.c_str(), O_RDONLY | O_CLOEXEC));
}
Result BindsAbove(Place& place) {
  const std::string above = Directory(Directory(place.decoy));
  if (mount(above.c_str(), place.own.c_str(), nullptr, MS_BIND, nullptr) != 0) return errno;
  return ReadsFile(place.own + place.decoy.substr(above.size()));
}

Result ReadsByRoot(Place& place) {
  return OnPeers(place, [&](pid_t pid) {
    return ReadsFile("/proc/" + std::to_string(pid) + "/root" + place.decoy);
  });
}
Result ReadsByDescriptor(Place& place) {
  return OnPeers(place,
                 [](pid_t pid) { return ReadsFile("/proc/" + std::to_string(pid) + "/fd/3"); });
}
// Up and out of a root that is left by making another one further down.
Result ChangesRootTwice(Place& place) {
  mkdir("/further", 0755);
  const int here = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (chroot("/further") != 0) return errno;
  if (fchdir(here) != 0) return errno;
  for (int i = 0; i < 64; ++i) {
    if (chdir("..") != 0) return errno;
  }
  return ReadsFile(place.decoy.substr(1));
}

// --- devices-mknod -------------------------------------------------------------------------------

constexpr const char* kKernelLog = "/dev/kmsg";  // no view has it; opened, not read

Result OpensDevice(const std::string& path) {
  return Answer(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}
Result OpensKernelLog(Place& /*place*/) { return OpensDevice(kKernelLog); }
Result MakesKernelLog(Place& place) {
  // Past the naive rule the directory is that of the new root.
  const std::string beside = Directory(place.granted) + "/node";
  const std::string own = place.own + "/node";
  const dev_t device = makedev(1, 11);
  Result result = 0;
  for (const std::string& path : {beside, own}) {
    result = Answer(mknodat(AT_FDCWD, path.c_str(), S_IFCHR | 0600, device));
    if (result == 0) result = Made(path, OpensDevice(path) == 0 ? 0 : -1);
    if (result == 0) return 0;
  }
  return result;
}

// --- unix-abstract -------------------------------------------------------------------------------

constexpr std::string_view kAbstract = "half-rules";
constexpr std::string_view kAbstractDatagram = "half-rules-datagrams";

struct AbstractAddress {
  sockaddr_un address{AF_UNIX, {}};
  socklen_t size;

  explicit AbstractAddress(std::string_view name)
      : size(static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) {
    name.copy(address.sun_path + 1, name.size());
  }
  const sockaddr* Plain() const { return reinterpret_cast<const sockaddr*>(&address); }
};

int BoundAbstractly(int type, std::string_view name) {
  const auto fd = static_cast<int>(Needed(socket(AF_UNIX, type, 0), "a socket"));
  const AbstractAddress at(name);
  Needed(bind(fd, at.Plain(), at.size), "an abstract socket");
  return fd;
}

void ListenAbstract(Place& /*place*/) { ListenAbstractly(); }

Result ConnectsAbstract(Place& /*place*/) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  const AbstractAddress to(kAbstract);
  return Answer(connect(fd, to.Plain(), to.size));
}
Result SendsToAbstract(Place& /*place*/) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0) return errno;
  const AbstractAddress to(kAbstractDatagram);
  return Answer(sendto(fd, "x", 1, 0, to.Plain(), to.size));
}

// --- outlive -------------------------------------------------------------------------------------

void DieWithMaker(Place& place) { place.dies = true; }

// Whether what a launcher has started outlives it; `escape` is what the started does first.
Result Outlives(const Place& place, int (*escape)()) {
  std::array<int, 2> ends{};
  Needed(pipe2(ends.data(), O_CLOEXEC), "a pipe");
  std::array<int, 2> told{};
  Needed(pipe2(told.data(), O_CLOEXEC), "a pipe");
  const auto launcher = static_cast<pid_t>(Needed(fork(), "fork"));
  if (launcher == 0) {
    if (fork() != 0) {
      // Gone when the started is on its way.
      char byte = 0;
      _exit(read(told[0], &byte, 1) == 1 ? 0 : 1);
    }
    const pid_t parent = getppid();
    if (place.dies) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    const Result result = Answer(escape());
    static_cast<void>(!write(told[1], "", 1));
    // Reparented: who is to die with its maker is dead by then.
    while (getppid() == parent) usleep(1000);
    static_cast<void>(!write(ends[1], &result, sizeof result));
    _exit(0);
  }
  close(ends[1]);
  Needed(waitpid(launcher, nullptr, 0), "waitpid");
  Result result = 0;
  return read(ends[0], &result, sizeof result) == sizeof result ? result : -SIGKILL;
}
Result Stays(Place& place) {
  return Outlives(place, [] { return 0; });
}
Result ClearsSignal(Place& place) {
  return Outlives(place, [] { return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0); });
}

}  // namespace

AbstractSockets ListenAbstractly() {
  const AbstractSockets sockets{BoundAbstractly(SOCK_STREAM, kAbstract),
                                BoundAbstractly(SOCK_DGRAM, kAbstractDatagram)};
  Needed(listen(sockets.stream, 1), "listen");
  return sockets;
}

std::vector<HalfRule> NodeRules() {
  const std::vector<Way> opens{{"open", ReadsDecoy}};
  const Way reads{"read", ReadsGranted};
  return {
      {"files-hard-links",
       nullptr,
       CreateOnly,
       {{"symlink", MakesSymbolicLink}},
       {"create", CreatesFile},
       {{"link", MakesHardLink}}},
      {"files-special-whiteout",
       nullptr,
       CreateOnly,
       {{"symlink", MakesSymbolicLink}},
       {"create", CreatesFile},
       {{"whiteout", MakesWhiteout}}},
      {"files-special",
       nullptr,
       NoFiles,
       {{"create", CreatesFile, nullptr, true}},
       reads,
       {{"symlink", MakesSymbolicLink}, {"fifo", MakesFifo}, {"socket", MakesSocketNode}}},
      {"files-mounts",
       nullptr,
       HideOthers,
       opens,
       reads,
       {{"umount", Unmounts}, {"open-tree", MountsBeneath}, {"bind", BindsAbove}}},
      {"files-proc",
       StartPeer,
       EnterJail,
       opens,
       reads,
       {{"root", ReadsByRoot}, {"descriptor", ReadsByDescriptor}, {"chroot", ChangesRootTwice}}},
      {"devices-mknod",
       nullptr,
       EnterJail,
       {{"open", OpensKernelLog}},
       reads,
       {{"mknod", MakesKernelLog}}},
      {"unix-abstract",
       ListenAbstract,
       DenyAllFiles,
       opens,
       reads,
       {{"connect", ConnectsAbstract}, {"send", SendsToAbstract}}},
      {"outlive",
       nullptr,
       DieWithMaker,
       {{"stay", Stays, nullptr, true}},
       reads,
       {{"prctl", ClearsSignal}}},
  };
}

}  // namespace bulkhead::attacks
