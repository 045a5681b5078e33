// SPDX-License-Identifier: Apache-2.0
// Asks the platform for documents and random bytes, and extends a register, without waiting: a TDX
// quote takes a second. A request is made by a child of the supervisor that holds nothing but the
// pipe it answers through, and ends; one at a time, in the order they came. A child that is silent
// for too long is killed and the request has failed: it is never made again.
//
// Order of calls: Submit; when Fd() is readable, or about once a second, Turn, which gives what is
// done. One owner, one thread: the supervisor's loop, which also reaps the children.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/device_door.h"
#include "engine/fd.h"
#include "profiles/digest.h"
#include "profiles/measure.h"

namespace bulkhead {

struct AttestJob {
  enum class Kind : uint8_t { kRandom, kDocument, kAuditHead };
  Kind kind = Kind::kDocument;
  uint64_t id = 0;     // the caller's
  Digest user_data{};  // kAuditHead: the head
  ByteList nonce, public_key;
};

struct AttestResult {
  uint64_t id = 0;
  tl::expected<ByteList, std::string> answer;
};

// In this process: may wait for the device. `name` is that of a report's directory.
tl::expected<ByteList, std::string> RunAttestJob(DeviceDoor& door, const Measure& measure,
                                                 const AttestJob& job, const std::string& name);

class Attester {
 public:
  static constexpr uint64_t kDeadline = 15000;  // ms

  Attester(DeviceDoor& door, Measure measure, bool close_range)
      : door_(&door), measure_(std::move(measure)), close_range_(close_range) {}

  Attester(const Attester&) = delete;
  Attester& operator=(const Attester&) = delete;
  // A request that goes on is ended; nobody hears what came of it.
  ~Attester();

  void Submit(AttestJob job) { jobs_.push_back(std::move(job)); }
  // Starts what waits, and gives the next result, if there is one.
  std::optional<AttestResult> Turn(uint64_t now);
  // Of the child that runs; -1: none. Another one after each result.
  int fd() const { return child_ ? child_->pipe.get() : -1; }
  bool idle() const { return !child_ && jobs_.empty(); }

 private:
  struct Child {
    uint64_t id = 0;
    pid_t pid = -1;
    Fd pipe;
    ByteList bytes;
    uint64_t deadline = 0;
  };
  // An errno, or 0.
  int Start(const AttestJob& job, uint64_t now);
  std::optional<AttestResult> Collect(uint64_t now);

  DeviceDoor* door_;
  Measure measure_;
  bool close_range_;
  std::deque<AttestJob> jobs_;
  std::optional<Child> child_;
};

}  // namespace bulkhead
