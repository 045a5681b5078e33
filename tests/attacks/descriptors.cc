// SPDX-License-Identifier: Apache-2.0
// Rules on paths, and what is reached by a descriptor that somebody has already.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tests/attacks/attacks.h"
#include "tests/attacks/ring.h"

namespace bulkhead::attacks {
namespace {

// --- files-inherited-descriptor, descriptors-leaked, descriptors-proc-exe ------------------------

Result WritesInherited(Place& /*place*/) { return Answer(write(kLeakedFile, "x", 1)); }
Result ReadsInherited(Place& /*place*/) {
  char byte = 0;
  return Answer(pread(kLeakedFile, &byte, 1, 0));
}
Result OpensBeneathLeaked(Place& place) {
  return Answer(openat(kLeakedDirectory, Name(place.decoy).c_str(), O_RDONLY | O_CLOEXEC));
}
Result OpensInWorkingDirectory(Place& place) { return ReadsFile(Name(place.decoy)); }

Result ReadsProgramByPath(Place& place) { return ReadsFile(place.foreign); }

Result ReadsSupervisor(Place& place) {
  return OnPeers(place,
                 [](pid_t pid) { return ReadsFile("/proc/" + std::to_string(pid) + "/exe"); });
}

Result RunsSupervisor(Place& place) {
  return OnPeers(place,
                 [](pid_t pid) { return Runs("/proc/" + std::to_string(pid) + "/exe", {"ran"}); });
}

// --- descriptors-scm-rights ----------------------------------------------------------------------

// Sends a byte and, where there is one, a descriptor. Says whether it could.
bool Pass(int to, int fd) {
  char byte = 'x';
  iovec piece{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  return sendmsg(to, &message, MSG_NOSIGNAL) == 1;
}

int Take(int from) {
  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  Needed(recvmsg(from, &message, 0), "recvmsg");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return -1;
  int fd = -1;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

int Opened(const Place& place, char what) {
  if (what == 'f') return open(place.decoy.c_str(), O_RDONLY | O_CLOEXEC);
  if (what == 'd') return open(Directory(place.decoy).c_str(), O_RDONLY | O_CLOEXEC);
  if (what == 's') return socket(AF_INET, SOCK_STREAM, 0);
  if (what == 'p') {
    // One end of a pair: it leads to the giver alone.
    std::array<int, 2> pair{};
    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0 ? pair[0] : -1;
  }
  io_uring_params layout;
  return what == 'r' ? SetUpRing(layout) : -1;
}

void GiverBeside(Place& place) {
  ListenOnLoopback(place.other_port);
  close(SetUpRing(place.ring));  // all of one entry have one layout
  std::array<int, 2> ends{};
  Needed(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), "socketpair");
  StartDecoy([&] {
    close(ends[0]);
    if (fork() == 0) Give(place, ends[1]);
  });
  close(ends[1]);
  place.connected = ends[0];
}

void JailWithoutSockets(Place& place) {
  EnterJail(place);
  Deny({{SYS_socket, {}}, {SYS_io_uring_setup, {}}});
}

int Ask(Place& place, char what) {
  if (place.connected < 0) {
    place.connected = static_cast<int>(Needed(ConnectAt(place.edge), "the giver"));
  }
  Needed(send(place.connected, &what, 1, MSG_NOSIGNAL), "to ask");
  return Take(place.connected);
}

Result ReadsPassedFile(Place& place) {
  char byte = 0;
  const int fd = Ask(place, 'f');
  return read(fd, &byte, 1) == 1 ? 0 : errno;
}
Result OpensBeneathPassed(Place& place) {
  const int fd = Ask(place, 'd');
  if (fd < 0) Broken("no directory");
  return Answer(openat(fd, Name(place.decoy).c_str(), O_RDONLY | O_CLOEXEC));
}
// An internet socket where none may be made.
Result ConnectsPassedSocket(Place& place) {
  const int fd = Ask(place, 's');
  return fd < 0 ? ENODATA : ConnectTo(fd, place.other_port);
}
Result ListensOnPassedSocket(Place& place) {
  const int fd = Ask(place, 's');
  return fd < 0 ? ENODATA : Listens(fd);
}
Result UsesPassedPair(Place& place) { return Answer(send(Ask(place, 'p'), "x", 1, MSG_NOSIGNAL)); }
Result MakesSocketByPassedRing(Place& place) {
  return MakesSocketByRing(Ask(place, 'r'), place.ring, AF_INET);
}

}  // namespace

void LeaveOpen(Place& place) {
  const int file = open(place.decoy.c_str(), O_RDWR);
  const int directory = open(Directory(place.decoy).c_str(), O_RDONLY | O_DIRECTORY);
  Needed(dup2(file, kLeakedFile), "a leaked file");
  Needed(dup2(directory, kLeakedDirectory), "a leaked directory");
  Needed(chdir(Directory(place.decoy).c_str()), "chdir");
}

void Give(const Place& place, int client) {
  for (char what = 0; recv(client, &what, 1, 0) == 1;) {
    const int fd = Opened(place, what);
    // Rings have not been passed on since Linux 6.7: then the byte goes alone.
    if (!Pass(client, fd) && !Pass(client, -1)) Broken("to pass a descriptor");
    // The other end of a pair stays open, or nothing could be sent.
    if (fd >= 0) close(fd);
  }
  _exit(0);
}

std::vector<HalfRule> DescriptorRules() {
  return {
      {"files-inherited-descriptor",
       LeaveOpen,
       DenyAllFiles,
       {{"open", ReadsDecoy}},
       {"read", ReadsGranted},
       {{"write", WritesInherited}, {"read", ReadsInherited}}},
      {"descriptors-leaked",
       LeaveOpen,
       EnterJail,
       {{"open", ReadsDecoy}},
       {"read", ReadsGranted},
       {{"directory", OpensBeneathLeaked}, {"working-directory", OpensInWorkingDirectory}}},
      {"descriptors-proc-exe",
       StartPeer,
       EnterJail,
       {{"open", ReadsProgramByPath}},
       {"read", ReadsGranted},
       {{"exe", ReadsSupervisor}, {"execute", RunsSupervisor}}},
      {"descriptors-scm-rights",
       GiverBeside,
       JailWithoutSockets,
       {{"open", ReadsDecoy}},
       {"read", ReadsGranted},
       {{"file", ReadsPassedFile},
        {"directory", OpensBeneathPassed},
        {"socket", ConnectsPassedSocket},
        {"socket-listens", ListensOnPassedSocket},
        {"pair", UsesPassedPair},
        {"ring", MakesSocketByPassedRing}}},
  };
}

}  // namespace bulkhead::attacks
