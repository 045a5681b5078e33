// SPDX-License-Identifier: Apache-2.0
#include "engine/attester.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "engine/event.h"
#include "engine/measure.h"
#include "engine/nsm.h"
#include "engine/tdx.h"
#include "profiles/attestation.h"
#include "sandbox/descriptors.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxAnswer = kMaxQuote + 1;  // and the byte that says which it is: fits a pipe
constexpr uint8_t kDone = 1;
constexpr uint8_t kFailed = 0;

// In the child: what it holds is the pipe, as descriptor 3.
void KeepOnly(int pipe, bool close_range) {
  RealKernel kernel;
  if (pipe != 3) {
    // dup2 leaves the copy open over an exec, of which there is none.
    if (dup2(pipe, 3) != 3) _exit(1);
  }
  if (CloseFrom(kernel, 4, close_range) != 0) _exit(1);
}

[[noreturn]] void RunChild(DeviceDoor& door, const Measure& measure, const AttestJob& job) {
  const std::string name = "bulkhead-" + std::to_string(getpid());
  const auto answer = RunAttestJob(door, measure, job, name);
  ByteList out{answer ? kDone : kFailed};
  if (answer) {
    out.insert(out.end(), answer->begin(), answer->end());
  } else {
    out.insert(out.end(), answer.error().begin(), answer.error().end());
  }
  if (out.size() > kMaxAnswer) _exit(1);
  _exit(write(3, out.data(), out.size()) == static_cast<ssize_t>(out.size()) ? 0 : 1);
}

tl::expected<ByteList, std::string> Random() {
  ByteList bytes(256);
  // The kernel's generator, which a TDX guest seeds from the processor.
  if (syscall(SYS_getrandom, bytes.data(), bytes.size(), 0) != static_cast<long>(bytes.size())) {
    return tl::make_unexpected("getrandom: " + ErrnoName(errno));
  }
  return bytes;
}

AttestResult Failed(uint64_t id, std::string why) {
  return {id, tl::make_unexpected(std::move(why))};
}

}  // namespace

tl::expected<ByteList, std::string> RunAttestJob(DeviceDoor& door, const Measure& measure,
                                                 const AttestJob& job, const std::string& name) {
  switch (job.kind) {
    case AttestJob::Kind::kRandom:
      return measure.nsm.empty() ? Random() : AskNsmRandom(door, measure.nsm);
    case AttestJob::Kind::kDocument:
      if (measure.nsm.empty()) {
        return AskTdxQuote(door, measure.tsm, name, ReportData(job.user_data));
      }
      return AskNsmDocument(door, measure.nsm, {job.user_data, job.nonce, job.public_key});
    case AttestJob::Kind::kAuditHead:
      return MeasureLater(
                 door, measure,
                 {std::string(kEventAuditHead), {job.user_data.begin(), job.user_data.end()}})
          .map([](const Digest& value) { return ByteList(value.begin(), value.end()); });
  }
  return tl::make_unexpected(std::string("an unknown job"));
}

Attester::~Attester() {
  if (child_) kill(child_->pid, SIGKILL);
}

int Attester::Start(const AttestJob& job, uint64_t now) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  Fd out(ends[1]);
  Child child{job.id, -1, Fd(ends[0]), {}, now + kDeadline};
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return errno;
  const pid_t parent = getpid();
  child.pid = fork();
  if (child.pid < 0) return errno;
  if (child.pid == 0) {
    // It must not outlive the supervisor, which could have died already.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(1);
    KeepOnly(out.get(), close_range_);
    RunChild(*door_, measure_, job);
  }
  child_ = std::move(child);
  return 0;
}

std::optional<AttestResult> Attester::Collect(uint64_t now) {
  Child& child = *child_;
  const uint64_t id = child.id;
  std::array<uint8_t, 4096> part{};
  for (;;) {
    const ssize_t size = read(child.pipe.get(), part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) {
      if (now < child.deadline) return std::nullopt;
      kill(child.pid, SIGKILL);
      child_.reset();
      return Failed(id, "the platform was silent for too long");
    }
    if (size > 0 && child.bytes.size() + static_cast<size_t>(size) <= kMaxAnswer) {
      child.bytes.insert(child.bytes.end(), part.begin(), part.begin() + size);
      continue;
    }
    break;
  }
  ByteList bytes = std::move(child.bytes);
  child_.reset();
  if (bytes.empty()) return Failed(id, "its process ended without an answer");
  const bool done = bytes[0] == kDone;
  bytes.erase(bytes.begin());
  if (!done) return Failed(id, std::string(bytes.begin(), bytes.end()));
  return AttestResult{id, std::move(bytes)};
}

std::optional<AttestResult> Attester::Turn(uint64_t now) {
  if (!child_ && !jobs_.empty()) {
    const AttestJob job = std::move(jobs_.front());
    jobs_.pop_front();
    if (const int error = Start(job, now); error != 0) {
      return Failed(job.id, "cannot start a process: " + ErrnoName(error));
    }
  }
  if (!child_) return std::nullopt;
  return Collect(now);
}

}  // namespace bulkhead
