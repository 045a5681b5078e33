// SPDX-License-Identifier: Apache-2.0
// A character device in user space (module cuse), whose node is that of the whole machine: for
// guests. Requests are read from /dev/cuse and answered there in FUSE's protocol (linux/fuse.h).
// What an ioctl points to is not known from its number there, so whoever plays one says where its
// memory is, and is asked again with it. Single-threaded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/fd.h"

namespace bulkhead::test {

class CuseDevice {
 public:
  // The node is /dev/NAME with this mode, whatever the machine does with nodes.
  CuseDevice(std::string name, unsigned mode);
  virtual ~CuseDevice() = default;
  CuseDevice(const CuseDevice&) = delete;
  CuseDevice& operator=(const CuseDevice&) = delete;

  // Says "ready" on standard output when the node is there, and serves until it is killed or
  // fails: the exit code.
  int Serve();

 protected:
  // Of the caller.
  struct Memory {
    uint64_t address;
    uint64_t size;
  };
  struct IoctlCall {
    uint32_t command;
    uint64_t argument;
    std::span<const uint8_t> input;  // what was asked for with `in`, one behind the other
    uint32_t room;                   // bytes of what was asked for with `out`
  };
  // Either an errno, or `bytes` for the memory of `out` before, or what is to be given.
  struct IoctlReply {
    int error = 0;
    std::string bytes{};
    std::vector<Memory> in{}, out{};
  };
  virtual IoctlReply Ioctl(const IoctlCall& call) = 0;

 private:
  bool ServeOne();  // false: there is no more to come
  bool Answer(uint64_t unique, int error, const std::string& body) const;
  bool Begin(uint64_t unique) const;
  bool Reply(uint64_t unique, const IoctlReply& reply) const;

  std::string name_;
  unsigned mode_;
  Fd fd_;
};

}  // namespace bulkhead::test
