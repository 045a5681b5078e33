// SPDX-License-Identifier: Apache-2.0
// The table of ways round. The releases that brought a way are those of the man pages and of the
// kernel's log.
#include "compiler/ways_round.h"

#include <algorithm>
#include <iterator>

namespace bulkhead {
namespace {

std::vector<WayRound> AllWays() {
  std::vector<WayRound> ways;
  for (auto part : {FileWays(), NetworkWays(), ProcessWays()}) {
    std::ranges::move(part, std::back_inserter(ways));
  }
  std::ranges::stable_sort(ways, {}, &WayRound::intent);
  return ways;
}

constexpr LeftOpen kLeftOpen[] = {
    {"files-full", Intent::kFiles, "a component can fill the file system that its state lies on",
     "the kernel's quotas belong to file systems, not to processes; `private` and `runtime` have "
     "sizes, and an enclave gives state a file system of its own"},
    {"files-edge-inodes", Intent::kFiles,
     "a server that makes its socket itself can make so many in its edge's directory that the file "
     "system of all edges is full",
     "its inodes are bounded by the file system alone; who must start again then can't, which ends "
     "an enclave of critical components; let the supervisor open the listener where that counts"},
    {"files-locks-read", Intent::kFiles,
     "who may lock records (`@record-locks`) is seen by others who read the same file, and takes "
     "memory of the kernel that no limit counts, about 190 bytes a lock",
     "a lock for reading needs no right to write, and locks are in no cgroup (tried on Linux "
     "6.18); "
     "the group is in no archetype"},
    {"files-proc-net", Intent::kFiles,
     "in the enclave's network (`tcp.connect`, `tcp.bind`) /proc/net lists all of its connections, "
     "routes and unix sockets",
     "`subset=pid` leaves it, and Landlock knows no part of /proc; a component without a network "
     "of "
     "the enclave's sees an empty one"},
    {"files-watch", Intent::kFiles,
     "who may call inotify_add_watch (`@file-watch`) sees that others open the files that it reads",
     "the kernel asks for nothing but the right to read; it is in no archetype"},
    {"files-proc-later", Intent::kFiles,
     "before Linux 5.8: what the kernel adds to /proc after a component's start can be read as far "
     "as its mode says",
     "such a kernel mounts /proc whole, so what is there is covered at each start; enclaves load "
     "no modules once components run, and none of these can"},
    {"execute-loader-readable", Intent::kExecute,
     "with the loader granted, every file that can be read on an executable mount can be mapped "
     "and run",
     "the kernel asks the mount, not the file, when code is mapped; so such files count as "
     "executable wherever bulkhead speaks of them, and all of them are the measured image's"},
    {"execute-image-segments", Intent::kExecute,
     "a program of the image with a segment that is writable and executable has such memory",
     "the kernel maps it while it executes, without a call; the image is the author's"},
    {"execute-script", Intent::kExecute,
     "an interpreter that may be executed runs any script that it may read",
     "to the kernel a script that is read is data; grant interpreters to components that run "
     "code, and reading to nothing else"},
    {"tcp-address", Intent::kTcp, "a port without `to` is any address",
     "neither Landlock nor a filter sees addresses; the broker does, where the policy names one"},
    {"descriptors-scm-rights", Intent::kUnix,
     "what a peer passes over a stated edge can be used: an open file, directory or socket",
     "a filter sees no control messages and Landlock no use of open files; both ends of the edge "
     "say each other's name, rings can be used by nobody, directories lead only to what the "
     "receiver's own rules grant, and a TCP listener can't be turned into a client"},
    {"unix-in-image", Intent::kUnix,
     "who may connect to its edges, or has `ready: notify`, reaches sockets of the image's daemons "
     "that lie in directories it reads",
     "before Landlock ABI 9 no control tells them apart; beneath /run and /var/run it is an error, "
     "elsewhere it is the image's own to know"},
    {"udp-senders", Intent::kUdp,
     "a UDP socket that is bound, or has sent, takes datagrams of anybody who knows its port",
     "the broker sees what a component sends; who may send to it is for the enclave's own packet "
     "filter, which is the whole network's"},
    {"calls-unasked", Intent::kCalls,
     "`uretprobe` (Linux 6.14) and `uprobe` (6.18) pass by every filter, on x86_64",
     "the kernel asks no filter about them; they do nothing but in trampolines that it maps itself "
     "where root has set a probe"},
    {"calls-pointers", Intent::kCalls, "arguments in memory can't be tested",
     "a filter sees registers, and memory can change after it was read: such a test is an error"},
    {"calls-kernel-bugs", Intent::kCalls, "an error in the kernel behind a call that is allowed",
     "every control here is the kernel's; fewer calls are fewer doors, which is all that can be "
     "said"},
};

}  // namespace

std::span<const WayRound> WaysRound() {
  static const std::vector<WayRound> kWays = AllWays();
  return kWays;
}

std::span<const LeftOpen> WaysLeftOpen() { return kLeftOpen; }

}  // namespace bulkhead
