// SPDX-License-Identifier: Apache-2.0
#include "sandbox/broker_calls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <span>

namespace bulkhead {
namespace {

constexpr int kSupervisor = 0;  // descriptor
constexpr size_t kMaxVectors = 64;
constexpr uint64_t kPageSize = 4096;

// Those that mean nothing beyond the message: not MSG_OOB, and above all not MSG_FASTOPEN, which
// connects.
constexpr uint32_t kSendFlags =
    MSG_DONTROUTE | MSG_DONTWAIT | MSG_EOR | MSG_CONFIRM | MSG_NOSIGNAL | MSG_MORE;

// struct msghdr and struct iovec of a 64-bit process.
struct Message {
  uint64_t name = 0;
  uint32_t name_size = 0;
  uint32_t pad = 0;
  uint64_t vectors = 0;
  uint64_t vector_count = 0;
  uint64_t control = 0;
  uint64_t control_size = 0;
  uint32_t flags = 0;
  uint32_t pad_after = 0;
};
static_assert(sizeof(Message) == sizeof(msghdr));
struct Vector {
  uint64_t base = 0;
  uint64_t size = 0;
};
static_assert(sizeof(Vector) == sizeof(iovec));

class Worker {
 public:
  Worker(Kernel& kernel, const BrokerPlan& plan, WorkerPage& page)
      : kernel_(kernel), plan_(plan), page_(page) {}

  // False at the end.
  bool Serve() {
    if (!Take()) return false;
    reply_ = {};
    reply_.id = request_.id;
    Answer();
    // See broker_worker.h: not the supervisor is to close a socket last.
    while (page_.released.load(std::memory_order_acquire) != request_.id) kernel_(SYS_sched_yield);
    Close(socket_);
    const long sent =
        kernel_(SYS_sendto, kSupervisor, &reply_, sizeof reply_, MSG_NOSIGNAL, nullptr, 0);
    Close(memory_);
    return sent >= 0;
  }

 private:
  using Kind = BrokerRequest::Kind;
  using Outcome = BrokerReply::Outcome;

  void Close(int& fd) {
    if (fd >= 0) kernel_(SYS_close, fd);
    fd = -1;
  }

  bool Take() {
    alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
    iovec vector{&request_, sizeof request_};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const long size = kernel_(SYS_recvmsg, kSupervisor, &message, MSG_CMSG_CLOEXEC);
    if (size != static_cast<long>(sizeof request_)) return false;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return false;
    int fds[2] = {-1, -1};
    const size_t bytes = header->cmsg_len - CMSG_LEN(0);
    std::memcpy(fds, CMSG_DATA(header), std::min(bytes, sizeof fds));
    memory_ = fds[0];
    socket_ = fds[1];
    return true;
  }

  // How much of it could be read.
  size_t Read(uint64_t from, std::span<uint8_t> into) {
    size_t done = 0;
    while (done < into.size()) {
      const long got = kernel_(SYS_pread64, memory_, into.data() + done, into.size() - done,
                               static_cast<long>(from + done));
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }
  template <typename T>
  bool ReadValue(uint64_t from, T& value) {
    return Read(from, {reinterpret_cast<uint8_t*>(&value), sizeof value}) == sizeof value;
  }

  // Page by page: what follows the text may not be there.
  uint32_t ReadText(uint64_t from, std::span<uint8_t> into) {
    size_t done = 0;
    while (done < into.size()) {
      const size_t rest = kPageSize - (from + done) % kPageSize;
      const auto part = into.subspan(done, std::min<size_t>(rest, into.size() - done));
      const size_t got = Read(from + done, part);
      const auto end = std::find(part.begin(), part.begin() + static_cast<long>(got), 0);
      done += static_cast<size_t>(end - part.begin());
      if (static_cast<size_t>(end - part.begin()) < got) return static_cast<uint32_t>(done);
      if (got < part.size()) return done == 0 ? kUnreadPiece : static_cast<uint32_t>(done);
    }
    return static_cast<uint32_t>(done);
  }

  void ReadPieces() {
    for (size_t i = 0; i < kMaxPieces; ++i) {
      const BrokerRequest::Piece& piece = request_.pieces[i];
      const std::span<uint8_t> into(reply_.bytes[i], std::min<size_t>(piece.size, kMaxPieceSize));
      if (into.empty()) continue;
      if (piece.text != 0) {
        reply_.sizes[i] = ReadText(piece.address, into);
      } else {
        const size_t got = Read(piece.address, into);
        reply_.sizes[i] = got == 0 ? kUnreadPiece : static_cast<uint32_t>(got);
      }
    }
    reply_.outcome = Outcome::kMade;
  }

  void Made(long result) {
    reply_.outcome = Outcome::kMade;
    reply_.result = result;
  }

  // Into the reply; `size` as the kernel takes it. False: answered already.
  bool CopyAddress(uint64_t from, int32_t size) {
    if (size < 0 || size > static_cast<int32_t>(kMaxSocketAddress)) {
      Made(-EINVAL);
      return false;
    }
    reply_.sizes[0] = static_cast<uint32_t>(size);
    return Read(from, Address()) == Address().size();
  }
  std::span<uint8_t> Address() { return {reply_.bytes[0], reply_.sizes[0]}; }

  bool KnowSocket() {
    struct {
      int option;
      int32_t* value;
    } const rows[] = {{SO_DOMAIN, &reply_.socket.domain},
                      {SO_TYPE, &reply_.socket.type},
                      {SO_PROTOCOL, &reply_.socket.protocol}};
    for (const auto& [option, value] : rows) {
      socklen_t size = sizeof *value;
      const long got = kernel_(SYS_getsockopt, socket_, SOL_SOCKET, option, value, &size);
      if (got >= 0) continue;
      Made(got);
      return false;
    }
    return true;
  }

  bool Allowed(BrokerCall call) {
    const BrokerDecision decision = Decide(plan_, call, reply_.socket, Address());
    reply_.rule = decision.rule;
    if (!decision.allowed) reply_.outcome = Outcome::kRefused;
    return decision.allowed && Announce();
  }

  // False: the supervisor has answered in the meantime.
  bool Announce() {
    page_.socket = reply_.socket;
    page_.size = static_cast<uint32_t>(Address().size());
    std::ranges::copy(Address(), page_.address);
    uint64_t before = page_.decided.load(std::memory_order_relaxed);
    return before != WorkerPage::kRevoked &&
           page_.decided.compare_exchange_strong(before, request_.id, std::memory_order_acq_rel);
  }

  void NameSocket(long number, BrokerCall call) {
    if (!CopyAddress(request_.address, static_cast<int32_t>(request_.address_size))) return;
    if (!Allowed(call)) return;
    Made(kernel_(number, socket_, reply_.bytes[0], reply_.sizes[0]));
  }

  bool ReadMessage(Message& message, size_t& size) {
    Vector vectors[kMaxVectors];
    if (!ReadValue(request_.address, message)) return false;
    if (message.control_size != 0) {
      reply_.outcome = Outcome::kControl;
      return false;
    }
    const size_t count = message.vector_count;
    if (count > kMaxVectors) {
      Made(-EMSGSIZE);
      return false;
    }
    const size_t bytes = count * sizeof(Vector);
    if (Read(message.vectors, {reinterpret_cast<uint8_t*>(vectors), bytes}) != bytes) return false;
    for (size_t i = 0; i < count; ++i) {
      if (!AddData(vectors[i].base, vectors[i].size, size)) return false;
    }
    return true;
  }

  // What is too much for one message is left out: of a stream that is a short write.
  bool AddData(uint64_t from, uint64_t count, size_t& size) {
    const size_t room = kMaxMessage - size;
    if (count > room && reply_.socket.type != SOCK_STREAM) {
      Made(-EMSGSIZE);
      return false;
    }
    const auto part = std::span(data_).subspan(size, std::min<size_t>(count, room));
    size += part.size();
    return Read(from, part) == part.size();
  }

  bool Waits() {
    const long flags = kernel_(SYS_fcntl, socket_, F_GETFL);
    return (request_.flags & MSG_DONTWAIT) == 0 && flags >= 0 && (flags & O_NONBLOCK) == 0;
  }

  void Send(size_t size) {
    if ((request_.flags & ~kSendFlags) != 0) {
      reply_.outcome = Outcome::kRefused;
      return;
    }
    if (!Allowed(BrokerCall::kSend)) return;
    const bool named = !Address().empty();
    const uint32_t flags = request_.flags | MSG_NOSIGNAL | MSG_DONTWAIT;
    for (bool waited = false;; waited = true) {
      const long sent = kernel_(SYS_sendto, socket_, data_, size, flags,
                                named ? reply_.bytes[0] : nullptr, reply_.sizes[0]);
      if (sent != -EAGAIN || waited || !Waits()) return Made(sent);
      pollfd ready{socket_, POLLOUT, 0};
      const timespec limit{kMaxSendWait / 1000, 0};
      kernel_(SYS_ppoll, &ready, 1, &limit, nullptr, 0);
    }
  }

  void SendTo() {
    size_t size = 0;
    const auto named = static_cast<int32_t>(request_.address_size);
    if (request_.address != 0 && !CopyAddress(request_.address, named)) return;
    if (AddData(request_.data, request_.data_size, size)) Send(size);
  }

  void SendMessage() {
    Message message;
    size_t size = 0;
    if (!ReadMessage(message, size)) return;
    // The kernel cuts a longer one (net/socket.c, __copy_msghdr).
    const auto named = static_cast<int32_t>(message.name_size);
    const auto most = static_cast<int32_t>(kMaxSocketAddress);
    if (message.name != 0 && !CopyAddress(message.name, std::min(named, most))) return;
    Send(size);
  }

  void Answer() {
    if (request_.kind == Kind::kRead) return ReadPieces();
    if (!KnowSocket()) return;
    switch (request_.kind) {
      case Kind::kConnect:
        return NameSocket(SYS_connect, BrokerCall::kConnect);
      case Kind::kBind:
        return NameSocket(SYS_bind, BrokerCall::kBind);
      case Kind::kSendTo:
        return SendTo();
      case Kind::kSendMessage:
        return SendMessage();
      case Kind::kRead:
        return;
    }
  }

  Kernel& kernel_;
  const BrokerPlan& plan_;
  WorkerPage& page_;
  BrokerRequest request_;
  BrokerReply reply_;
  int memory_ = -1;
  int socket_ = -1;
  uint8_t data_[kMaxMessage] = {};
};

}  // namespace

void ServeBroker(Kernel& kernel, const BrokerPlan& plan, WorkerPage& page) {
  Worker worker(kernel, plan, page);
  while (worker.Serve()) {
  }
  for (;;) kernel(SYS_exit_group, 0);
}

}  // namespace bulkhead
