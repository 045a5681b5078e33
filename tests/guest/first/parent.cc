// SPDX-License-Identifier: Apache-2.0
#include "tests/guest/first/parent.h"

// C++ can't read what is only in it for old programs.
#define VIRTIO_RING_NO_LEGACY

#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace bulkhead::test {
namespace {

constexpr uint64_t kCid = 3;
constexpr uint32_t kPort = 9000;
constexpr uint8_t kHeartbeat = 0xB7;
constexpr uint16_t kSlots = 16;
constexpr uint32_t kSlotSize = 8192;
constexpr uint32_t kCredit = 65536;
constexpr uint64_t kBase = 0x100000;  // of the memory, as the played machine numbers it

// What the two sides share; a queue as virtio 1.0 lays it out.
struct Queue {
  alignas(16) std::array<vring_desc, kSlots> descriptors;
  struct {
    uint16_t flags, index;
    std::array<uint16_t, kSlots> ring;
    uint16_t event;
  } offered;
  struct alignas(4) {
    uint16_t flags, index;
    std::array<vring_used_elem, kSlots> ring;
    uint16_t event;
  } used;
  std::array<std::array<uint8_t, kSlotSize>, kSlots> slots;
};

struct alignas(4096) Memory {
  std::array<Queue, 2> queues;  // received by the played machine, sent by it
};
Memory memory;

uint64_t Numbered(const void* place) {
  return kBase + static_cast<uint64_t>(static_cast<const uint8_t*>(place) -
                                       reinterpret_cast<const uint8_t*>(&memory));
}

uint64_t Pointer(const void* place) { return reinterpret_cast<uint64_t>(place); }

class Machine {
 public:
  // The step that failed; null: it runs.
  const char* Start() {
    fd_ = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
    if (fd_ < 0) return "open /dev/vhost-vsock";
    uint64_t features = uint64_t{1} << VIRTIO_F_VERSION_1;
    if (ioctl(fd_, VHOST_SET_OWNER) != 0) return "VHOST_SET_OWNER";
    if (ioctl(fd_, VHOST_SET_FEATURES, &features) != 0) return "VHOST_SET_FEATURES";
    struct {
      uint32_t regions, padding;
      vhost_memory_region region;
    } table{1, 0, {kBase, sizeof memory, Pointer(&memory), 0}};  // struct vhost_memory
    if (ioctl(fd_, VHOST_SET_MEM_TABLE, &table) != 0) return "VHOST_SET_MEM_TABLE";
    for (unsigned int i = 0; i < 2; ++i) {
      if (!StartQueue(i)) return "a queue";
    }
    for (uint16_t slot = 0; slot < kSlots; ++slot) OfferRoom(slot);
    uint64_t cid = kCid;
    if (ioctl(fd_, VHOST_VSOCK_SET_GUEST_CID, &cid) != 0) return "VHOST_VSOCK_SET_GUEST_CID";
    int running = 1;
    if (ioctl(fd_, VHOST_VSOCK_SET_RUNNING, &running) != 0) return "VHOST_VSOCK_SET_RUNNING";
    return Kick(0);
  }

  const char* Serve() {
    for (;;) {
      pollfd told{calls_[0], POLLIN, 0};
      if (poll(&told, 1, 100) < 0) return "poll";
      Queue& in = memory.queues[0];
      while (seen_ != std::atomic_ref(in.used.index).load(std::memory_order_acquire)) {
        const auto slot = static_cast<uint16_t>(in.used.ring[seen_++ % kSlots].id);
        Take(in.slots[slot].data());
        OfferRoom(slot);
        if (const char* failed = Kick(0)) return failed;
      }
      if (told.revents != 0) Drain(calls_[0]);
    }
  }

 private:
  bool StartQueue(unsigned int i) {
    Queue& queue = memory.queues[i];
    kicks_[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    calls_[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    vhost_vring_state size{i, kSlots};
    vhost_vring_state base{i, 0};
    vhost_vring_addr places{
        i, 0, Pointer(&queue.descriptors), Pointer(&queue.used), Pointer(&queue.offered), 0};
    vhost_vring_file kick{i, kicks_[i]};
    vhost_vring_file call{i, calls_[i]};
    return kicks_[i] >= 0 && calls_[i] >= 0 && ioctl(fd_, VHOST_SET_VRING_NUM, &size) == 0 &&
           ioctl(fd_, VHOST_SET_VRING_BASE, &base) == 0 &&
           ioctl(fd_, VHOST_SET_VRING_ADDR, &places) == 0 &&
           ioctl(fd_, VHOST_SET_VRING_KICK, &kick) == 0 &&
           ioctl(fd_, VHOST_SET_VRING_CALL, &call) == 0;
  }
  static void Drain(int fd) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(fd, &count, sizeof count);
  }
  const char* Kick(unsigned int i) {
    const uint64_t one = 1;
    return write(kicks_[i], &one, sizeof one) == sizeof one ? nullptr : "kick";
  }
  static void Offer(Queue& queue, uint16_t slot, uint32_t size, uint16_t flags) {
    queue.descriptors[slot] = {Numbered(queue.slots[slot].data()), size, flags, 0};
    const uint16_t at = queue.offered.index;
    queue.offered.ring[at % kSlots] = slot;
    std::atomic_ref(queue.offered.index)
        .store(static_cast<uint16_t>(at + 1), std::memory_order_release);
  }
  static void OfferRoom(uint16_t slot) {
    Offer(memory.queues[0], slot, kSlotSize, VRING_DESC_F_WRITE);
  }

  void Take(const uint8_t* packet) {
    virtio_vsock_hdr head{};
    std::memcpy(&head, packet, sizeof head);
    switch (head.op) {
      case VIRTIO_VSOCK_OP_REQUEST:
        return Answer(head,
                      head.dst_port == kPort ? VIRTIO_VSOCK_OP_RESPONSE : VIRTIO_VSOCK_OP_RST);
      case VIRTIO_VSOCK_OP_RW:
        if (head.len != 1 || packet[sizeof head] != kHeartbeat) {
          return Answer(head, VIRTIO_VSOCK_OP_RST);
        }
        Answer(head, VIRTIO_VSOCK_OP_RW, true);
        std::puts("parent: a heartbeat came and was answered");
        std::fflush(stdout);
        return;
      case VIRTIO_VSOCK_OP_SHUTDOWN:
        return Answer(head, VIRTIO_VSOCK_OP_RST);
      default:
        return;
    }
  }
  // There is never more than one packet on its way for each that came.
  void Answer(const virtio_vsock_hdr& asked, uint16_t operation, bool heartbeat = false) {
    virtio_vsock_hdr head{};
    head.src_cid = asked.dst_cid;
    head.dst_cid = asked.src_cid;
    head.src_port = asked.dst_port;
    head.dst_port = asked.src_port;
    head.len = heartbeat ? 1 : 0;
    head.type = VIRTIO_VSOCK_TYPE_STREAM;
    head.op = operation;
    head.buf_alloc = kCredit;
    head.fwd_cnt = heartbeat ? 1 : 0;
    Queue& out = memory.queues[1];
    const auto slot = static_cast<uint16_t>(sent_++ % kSlots);
    std::memcpy(out.slots[slot].data(), &head, sizeof head);
    out.slots[slot][sizeof head] = kHeartbeat;
    Offer(out, slot, static_cast<uint32_t>(sizeof head + head.len), 0);
    Kick(1);
  }

  int fd_ = -1;
  std::array<int, 2> kicks_{}, calls_{};
  uint16_t seen_ = 0;
  uint32_t sent_ = 0;
};

}  // namespace

const char* PlayParent() {
  Machine machine;
  const char* failed = machine.Start();
  if (failed != nullptr) return failed;
  std::puts("parent: ready");
  std::fflush(stdout);
  return machine.Serve();
}

}  // namespace bulkhead::test
