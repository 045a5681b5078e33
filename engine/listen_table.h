// SPDX-License-Identifier: Apache-2.0
// The kernel's table of unix sockets of a process's network, looked through for one that listens.
// A piece at a time: how long the table is, is for whoever makes sockets there to say, and the
// kernel takes about a microsecond for each. One owner, one thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/fd.h"

namespace bulkhead {

class ListenTable {
 public:
  static constexpr size_t kPiece = 32768;  // bytes of a look

  // Goes on in /proc/PID/net/unix, from its end on at its beginning. True if a line of this piece
  // is of a socket that listens by this path. Names of abstract sockets stand there raw, so in a
  // network that is shared a line can be forged, and what it says only adds to what the file system
  // says.
  bool Look(pid_t pid, const std::string& path);

 private:
  Fd table_;
  std::string rest_;  // of a line whose end is not read yet
};

// Whether such a table, as text, has such a line: Num RefCount Protocol Flags Type St Inode Path,
// with one space between and the inode padded with more; flag 0x10000 is __SO_ACCEPTCON.
bool ListensOn(std::string_view table, std::string_view path);

}  // namespace bulkhead
