// SPDX-License-Identifier: Apache-2.0
#include "tests/attacks/ring.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace bulkhead::attacks {
namespace {

// Linux 5.19; Debian 12's header has it, older ones don't.
constexpr uint8_t kOpSocket = 45;

char* Map(int ring, size_t size, long offset) {
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, offset);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

}  // namespace

int SetUpRing(io_uring_params& layout) {
  layout = {};
  return static_cast<int>(syscall(SYS_io_uring_setup, 1, &layout));
}

Result MakesSocketByRing(int ring, const io_uring_params& layout, int domain) {
  // Without a ring: what the kernel says about using one.
  if (layout.sq_entries == 0) {
    return Answer(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0));
  }
  char* const sq = Map(ring, layout.sq_off.array + sizeof(uint32_t), IORING_OFF_SQ_RING);
  const size_t cq_size = layout.cq_off.cqes + layout.cq_entries * sizeof(io_uring_cqe);
  char* const cq = Map(ring, cq_size, IORING_OFF_CQ_RING);
  char* const entries = Map(ring, sizeof(io_uring_sqe), IORING_OFF_SQES);
  if (sq == nullptr || cq == nullptr || entries == nullptr) return errno;
  auto* entry = reinterpret_cast<io_uring_sqe*>(entries);
  *entry = {};
  entry->opcode = kOpSocket;
  entry->fd = domain;
  entry->off = SOCK_STREAM;
  *reinterpret_cast<uint32_t*>(sq + layout.sq_off.array) = 0;
  reinterpret_cast<std::atomic<uint32_t>*>(sq + layout.sq_off.tail)->fetch_add(1);
  if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) < 0) return errno;
  const auto* done = reinterpret_cast<const io_uring_cqe*>(cq + layout.cq_off.cqes);
  return done->res < 0 ? -done->res : 0;
}

}  // namespace bulkhead::attacks
