// SPDX-License-Identifier: Apache-2.0
// Rules on paths, and what has no path, or is not asked about.
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "profiles/landlock.h"
#include "tests/attacks/attacks.h"

namespace bulkhead::attacks {
namespace {

// --- files-unix-connect --------------------------------------------------------------------------

Result Connects(const std::string& path) { return Answer(ConnectAt(path)); }

void TwoEdges(Place& place) {
  ListenAt(place.edge);
  ListenAt(place.other_edge);
}

Result OpensEdge(Place& place) {
  return Answer(open(Directory(place.other_edge).c_str(), O_RDONLY | O_CLOEXEC));
}
Result ConnectsEdge(Place& place) { return Connects(place.edge); }
Result ConnectsOtherEdge(Place& place) { return Connects(place.other_edge); }

// --- files-metadata ------------------------------------------------------------------------------

Result WritesGranted(Place& place) { return OpensForWriting(place.granted); }

Result ChangesMode(Place& place) {
  return Answer(fchmodat(AT_FDCWD, place.granted.c_str(), 0600, 0));
}
Result ChangesOwner(Place& place) {
  return Answer(fchownat(AT_FDCWD, place.granted.c_str(), getuid(), getgid(), 0));
}
Result ChangesTimes(Place& place) {
  return Answer(utimensat(AT_FDCWD, place.granted.c_str(), nullptr, 0));
}
Result ChangesAttribute(Place& place) {
  return Answer(setxattr(place.granted.c_str(), "user.half-rule", "x", 1, 0));
}

// --- files-handle --------------------------------------------------------------------------------

void Take(Place& place, const std::string& path) {
  constexpr unsigned kBytes = 128;
  place.handle.assign(sizeof(file_handle) + kBytes, '\0');
  auto* handle = reinterpret_cast<file_handle*>(place.handle.data());
  handle->handle_bytes = kBytes;
  int mount_id = 0;
  Needed(name_to_handle_at(AT_FDCWD, path.c_str(), handle, &mount_id, 0), "a handle");
}
void TakeHandle(Place& place) { Take(place, place.decoy); }
void TakeDirectoryHandle(Place& place) { Take(place, place.own); }

// By any directory of the file system on which the file is.
int OpenByHandle(Place& place, int flags) {
  // Inside nobody has one to give; the call is the same.
  if (place.handle.empty()) place.handle.assign(sizeof(file_handle) + 8, '\1');
  auto* handle = reinterpret_cast<file_handle*>(place.handle.data());
  int fd = -1;
  for (const std::string& directory : {std::string("/"), place.own}) {
    const int mount = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = open_by_handle_at(mount < 0 ? AT_FDCWD : mount, handle, flags);
    if (mount >= 0) close(mount);
    if (fd >= 0) break;
  }
  return fd;
}

Result OpensByHandle(Place& place) {
  const int fd = OpenByHandle(place, O_RDONLY);
  if (fd < 0) return errno;
  char byte = 0;
  return read(fd, &byte, 1) == 1 ? 0 : errno;
}

// Out of a new root from a directory that is beside it.
Result ClimbsByHandle(Place& place) {
  const int fd = OpenByHandle(place, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return errno;
  const std::string up = "../" + Name(Directory(place.decoy)) + "/" + Name(place.decoy);
  return Answer(openat(fd, up.c_str(), O_RDONLY | O_CLOEXEC));
}

// --- reach-policy --------------------------------------------------------------------------------

// A tool that keeps what it goes by where the confined program keeps its own.
void KeepBeside(Place& place) {
  WriteFile(place.audit, "one record\n");
  WriteFile(place.policy, "deny socket\n");
}

void OwnDirectory(Place& place) {
  const uint64_t all = landlock::FileRights(landlock::kLogAbi);
  Restrict({.files = all, .paths = {{place.own, all}}});
}

Result WritesOwn(Place& place) {
  const int fd = open((place.own + "/own").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  return Answer(fd);
}
Result AppendsAudit(Place& place) {
  const int fd = open(place.audit.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  return fd < 0 ? errno : Answer(write(fd, "\n", 1));
}
Result TruncatesAudit(Place& place) { return Answer(truncate(place.audit.c_str(), 0)); }
Result ListsAudit(Place& place) {
  return Answer(open(Directory(place.audit).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
Result ReadsPolicy(Place& place) { return ReadsFile(place.policy); }
Result WritesPolicy(Place& place) {
  const int fd = open(place.policy.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  return fd < 0 ? errno : Answer(write(fd, "\n", 1));
}

// --- files-truncate, files-ioctl-device ----------------------------------------------------------

constexpr const char* kDevice = "/dev/random";
constexpr int kAbiOfTruncate = 3;
constexpr int kAbiOfIoctl = 5;

// All that Landlock knew before a release, but for reading what is granted.
void OlderLandlock(Place& place, int abi, const std::string& readable) {
  Restrict({.files = landlock::FileRights(abi - 1),
            .paths = {{place.granted, landlock::kReadFile}, {readable, landlock::kReadFile}}});
}
void BeforeTruncate(Place& place) { OlderLandlock(place, kAbiOfTruncate, place.granted); }
void BeforeIoctl(Place& place) { OlderLandlock(place, kAbiOfIoctl, kDevice); }

Result Truncates(Place& place) { return Answer(truncate(place.granted.c_str(), 0)); }

Result WritesDevice(Place& /*place*/) { return OpensForWriting(kDevice); }
Result ReadsDevice(Place& /*place*/) { return ReadsFile(kDevice); }
Result AsksDevice(Place& /*place*/) {
  const int fd = open(kDevice, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int entropy = 0;
  return Answer(ioctl(fd, RNDGETENTCNT, &entropy));
}

// Everybody who reads it waits for the lock, or learns that it is held.
Result LocksGranted(Place& place) {
  const int fd = open(place.granted.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const Result result = Answer(flock(fd, LOCK_EX | LOCK_NB));
  close(fd);
  return result;
}

}  // namespace

std::vector<HalfRule> FileRules() {
  return {
      {"files-truncate",
       nullptr,
       BeforeTruncate,
       {{"write", WritesGranted}},
       {"read", ReadsGranted},
       {{"truncate", Truncates}}},
      {"files-ioctl-device",
       nullptr,
       BeforeIoctl,
       {{"write", WritesDevice, nullptr, true}},
       {"read-device", ReadsDevice},
       {{"ioctl", AsksDevice}}},
      {"files-unix-connect",
       TwoEdges,
       DenyAllFiles,
       {{"open", OpensEdge}},
       {"connect-own", ConnectsEdge},
       {{"connect", ConnectsOtherEdge}}},
      {"files-locks",
       nullptr,
       DenyAllFiles,
       {{"write", WritesGranted}},
       {"read", ReadsGranted},
       {{"flock", LocksGranted}}},
      {"files-metadata",
       nullptr,
       DenyAllFiles,
       {{"write", WritesGranted}},
       {"read", ReadsGranted},
       {{"mode", ChangesMode},
        {"owner", ChangesOwner},
        {"times", ChangesTimes},
        {"attribute", ChangesAttribute}}},
      {"files-handle",
       TakeHandle,
       EnterJail,
       {{"open", ReadsDecoy}},
       {"read", ReadsGranted},
       {{"handle", OpensByHandle}, {"directory", ClimbsByHandle, TakeDirectoryHandle}}},
      {"reach-policy",
       KeepBeside,
       OwnDirectory,
       {{"open", ReadsDecoy}},
       {"write-own", WritesOwn},
       {{"append-audit", AppendsAudit},
        {"truncate-audit", TruncatesAudit},
        {"list-audit", ListsAudit},
        {"read-policy", ReadsPolicy},
        {"write-policy", WritesPolicy}}},
  };
}

}  // namespace bulkhead::attacks
