// SPDX-License-Identifier: Apache-2.0
// Ways round statements about files, programs, memory and devices.
#include <algorithm>
#include <iterator>
#include <utility>

#include "compiler/ways_round.h"
#include "profiles/landlock.h"

namespace bulkhead {
namespace {

std::vector<WayRound> PathWays() {
  const auto writes = WritesFiles;
  return {
      {"files-handle",
       Intent::kFiles,
       "rules on paths",
       "open_by_handle_at opens without a path",
       "2.6.39",
       {},
       {Refused("the call is refused", Calls({"open_by_handle_at"}))},
       {},
       {}},
      {"files-hard-links",
       Intent::kFiles,
       "`create` without links",
       "link gives a file another name: Landlock asks for nothing more than to make a file",
       kEver,
       writes,
       {Refused("the calls are refused", Calls({"link", "linkat"}))},
       "files",
       "leave `link` and `linkat` out of `syscalls`"},
      {"files-inherited-descriptor",
       Intent::kFiles,
       "rules on paths",
       "what is open already is read and written as before",
       kEver,
       {},
       {Kept(Layer::kDescriptor, kRuntimeFd)},
       {},
       {}},
      {"files-ioctl-device",
       Intent::kFiles,
       "Landlock before ABI 5",
       "requests to device nodes are not asked about",
       kEver,
       {},
       {Checked(Layer::kLandlock, "requests are a right of their own",
                [](const Inside& in) { return HandlesAll(in, landlock::kIoctlDev); }),
        Kept(Layer::kView, "no device is in the view but those that the policy names")},
       {},
       {}},
      {"files-metadata",
       Intent::kFiles,
       "Landlock rules without any right",
       "modes, owners, times and extended attributes are not asked about",
       kEver,
       {},
       {Kept(Layer::kView, "what is not to be written is on a read-only mount, or not there"),
        Kept(Layer::kOwnership, "files of others belong to others")},
       {},
       {}},
      {"files-mounts",
       Intent::kFiles,
       "a mount view",
       "mount calls change it from inside",
       kEver,
       {},
       {Refused(
           "mount calls, old and new, and changes of the root are refused",
           Calls({"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree",
                  "open_tree_attr", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr"}))},
       {},
       {}},
      {"files-proc",
       Intent::kFiles,
       "a mount view",
       "/proc/PID/root, cwd and fd lead into the views of others",
       kEver,
       {},
       {Kept(Layer::kNamespace, "its own /proc, of its own PID namespace")},
       {},
       {}},
      {"files-special",
       Intent::kFiles,
       "`create` without special files",
       "symbolic links, fifos and nodes are made where files are",
       kEver,
       writes,
       {Checked(Layer::kLandlock, "no right to make them",
                [](const Inside& in) {
                  return NoRuleGrants(in, landlock::kMakeSym | landlock::kMakeFifo |
                                              landlock::kMakeChar | landlock::kMakeBlock);
                }),
        Refused("the calls are refused", Calls({"symlink", "symlinkat", "mknod", "mknodat"}))},
       "files",
       "leave the calls that make them out of `syscalls`, or a target with Landlock"},
      {"files-truncate",
       Intent::kFiles,
       "Landlock before ABI 3",
       "truncate needs no right to write",
       "5.13",
       {},
       {Checked(Layer::kLandlock, "truncating is a right of its own",
                [](const Inside& in) { return HandlesAll(in, landlock::kTruncate); }),
        Kept(Layer::kView, "what is not to be written is on a read-only mount")},
       {},
       {}},
      {"reach-policy",
       Intent::kFiles,
       "rules on a component's own files",
       "bundle, audit log and control socket are files as well",
       kEver,
       {},
       {Checked(Layer::kView, "the supervisor's directories and sinks are in no view",
                HidesSupervisor)},
       {},
       {}},
  };
}

std::vector<WayRound> ExecuteWays() {
  return {
      {"execute-launch-descriptor",
       Intent::kExecute,
       "a filter that allows only the launcher's execveat of one descriptor",
       "the program puts a file of its own at that number",
       "3.19",
       {},
       {Refused("execveat is refused; the launch's own passes the listener once",
                Calls({"execveat"}))},
       {},
       {}},
      {"execute-loader",
       Intent::kExecute,
       "Landlock without the right to execute",
       "the loader, given a path, maps and runs any file that can be read",
       kEver,
       {},
       {Checked(Layer::kView,
                "whatever can be written is mounted noexec, and what is mapped as code is written "
                "by nobody",
                CodeIsNobodys)},
       {},
       {}},
      {"execute-memfd",
       Intent::kExecute,
       "Landlock without the right to execute",
       "a file in anonymous memory is on no mount and under no rule",
       "3.17",
       {},
       {Refused("no further program is executed", Calls({"execve", "execveat"})),
        {Layer::kSeccomp, "execveat and files in memory are refused, also to who could pass one",
         Calls({"execveat", "memfd_create"}), PeersMakeNoMemoryFiles}},
       "files.execute",
       "leave `memfd_create` out of the `syscalls` of this component and of those that it shares "
       "an edge or a channel with, or execute no further program"},
      {"execute-set-id",
       Intent::kExecute,
       "a uid without rights",
       "programs with set-user-id or file capabilities give them",
       kEver,
       {},
       {Kept(Layer::kCapability, "no_new_privs, empty bounding set; every mount is nosuid")},
       {},
       {}},
      {"execute-written",
       Intent::kExecute,
       "a list of programs",
       "a program is written, or written over, and executed",
       kEver,
       {},
       {Checked(Layer::kView,
                "whatever can be written is mounted noexec, and no component writes another's code",
                CodeIsNobodys)},
       {},
       {}},
  };
}

std::vector<WayRound> MemoryWays() {
  const auto wx = IsWriteXorExecute;
  const std::string_view rule = "mmap refuses memory that is writable and executable";
  const std::string_view say =
      "leave it out, or say that the component makes code: `@executable-memory`";
  return {
      {"memory-wx-mprotect",
       Intent::kMemory,
       rule,
       "mprotect makes it executable later",
       kEver,
       wx,
       {Refused("nothing is made executable later",
                {{"mprotect", {Bits(2, kProtExec)}}, {"pkey_mprotect", {Bits(2, kProtExec)}}})},
       "syscalls",
       say},
      {"memory-wx-personality",
       Intent::kMemory,
       rule,
       "with READ_IMPLIES_EXEC readable memory is executable",
       kEver,
       wx,
       {Refused("the flag is refused",
                {{"personality", {Bits(0, kReadImpliesExec), Not(Equal(0, 32, UINT32_MAX))}}})},
       "syscalls",
       say},
      {"memory-wx-proc-mem",
       Intent::kMemory,
       rule,
       "a write to /proc/self/mem goes into read-only pages",
       kEver,
       wx,
       {Checked(Layer::kLandlock, "nothing beneath /proc is written", ProcIsNotWritten),
        Checked(Layer::kView, "/proc is mounted read-only where there is no Landlock",
                [](const Inside& in) { return in.profile.landlock.handled_files == 0; })},
       {},
       {}},
      {"memory-wx-remap",
       Intent::kMemory,
       rule,
       "one piece of memory is mapped twice, writable and executable",
       kEver,
       wx,
       {Refused("no code is mapped at all",
                {{"mmap", {Bits(2, kProtExec)}}, {"shmat", {Bits(2, kShmExec)}}}),
        {Layer::kSeccomp,
         "memory that can be mapped twice is never executable: no file in memory without "
         "MFD_NOEXEC_SEAL, also none that is passed, no SHM_EXEC; writable mounts are noexec",
         {{"memfd_create", {Not(Bits(1, kNoexecSeal))}},
          {"memfd_secret", {}},
          {"shmat", {Bits(2, kShmExec)}}},
         PeersMakeNoMemoryFiles}},
       "syscalls",
       "leave `memfd_create` and `shmat` out here and where an edge or a channel leads, test their "
       "flags, or say that the component makes code: `@executable-memory`"},
  };
}

std::vector<WayRound> DeviceWays() {
  return {
      {"devices-attestation",
       Intent::kDevices,
       "no attestation device in the view",
       "its requests through a descriptor from elsewhere; the kernel reads 32 bits of the number",
       kEver,
       {},
       {{Layer::kSeccomp, "the requests are refused at the kernel's width, and no view has a node",
         Ioctls({kNsm, kTdxReport}),
         [](const Inside& in) {
           return HasNoDevice(in, {"/dev/nsm", "/dev/tdx", "/dev/tpm", "/dev/sev-guest"});
         }}},
       {},
       {}},
      {"devices-mknod",
       Intent::kDevices,
       "no node in the view",
       "mknod makes one",
       kEver,
       {},
       {Kept(Layer::kCapability, "no CAP_MKNOD; every mount of files is nodev")},
       {},
       {}},
      {"terminal-tiocsti-tioclinux",
       Intent::kDevices,
       "a shared terminal without other rights",
       "TIOCSTI and TIOCLINUX push input into it",
       kEver,
       {},
       {Refused("the requests are refused at the kernel's width", Ioctls({kTiocsti, kTioclinux}))},
       {},
       {}},
  };
}

}  // namespace

std::vector<WayRound> FileWays() {
  std::vector<WayRound> ways;
  for (auto part : {PathWays(), ExecuteWays(), MemoryWays(), DeviceWays()}) {
    std::ranges::move(part, std::back_inserter(ways));
  }
  return ways;
}

}  // namespace bulkhead
