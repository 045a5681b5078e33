// SPDX-License-Identifier: Apache-2.0
// A worker on the running kernel, alone: what it makes of requests, that it is confined, and that
// it serves nobody when any of its confinement fails.
#include "sandbox/broker_worker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/sample.h"

namespace bulkhead {
namespace {

using Kind = BrokerRequest::Kind;
using Outcome = BrokerReply::Outcome;

bool CanConfine() {
  if (geteuid() == 0) return true;
  BOOST_TEST_REQUIRE(std::getenv("BULKHEAD_REQUIRE_KERNEL") == nullptr, "needs root");
  BOOST_TEST_MESSAGE("skipped: needs root");
  return false;
}

class Faulty final : public Kernel {
 public:
  explicit Faulty(size_t at) : at_(at) {}

 protected:
  // Counts in the worker alone, up to and with its filter.
  long Call(long number, const long (&args)[6]) override {
    if (worker_ && !filtered_ && calls_++ == at_) return -EIO;
    const long result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
    if (number == SYS_clone && result == 0) worker_ = true;
    if (number == SYS_seccomp) filtered_ = true;
    return result < 0 ? -errno : result;
  }
  long Spawning(long number, const long (&args)[6], const SpawnTarget& target) override {
    return RawSpawn(number, args, target);
  }

 private:
  size_t at_;
  size_t calls_ = 0;
  bool worker_ = false;
  bool filtered_ = false;
};

ProfileData Component(uint16_t port) {
  ProfileData profile = test::SampleProfile("one", 1);
  profile.broker.calls = {42};
  profile.broker.paths = true;
  profile.broker.rules = {{BrokerKind::kTcpConnect, false, 0x7f000001, port, "rule"},
                          {BrokerKind::kUdpSend, false, 0x7f000001, port, "rule"}};
  return profile;
}

class Run {
 public:
  Run(Kernel& kernel, const ProfileData& profile) : profile_(profile) {
    BOOST_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_) == 0);
    void* page = mmap(nullptr, sizeof(WorkerPage), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BOOST_REQUIRE(page != MAP_FAILED);
    page_ = new (page) WorkerPage;
    WorkerPlan plan(profile_);
    plan.close_range = true;
    plan.mount_namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    pid_ = LaunchWorker(kernel, plan, ends_[1], *page_);
    close(plan.mount_namespace);
    close(ends_[1]);
    BOOST_REQUIRE(pid_ > 0);
  }
  ~Run() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(ends_[0]);
    munmap(page_, sizeof *page_);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  pid_t pid() const { return pid_; }

  // Nothing: the worker is gone.
  std::optional<BrokerReply> Ask(BrokerRequest request, int socket) {
    request.id = ++id_;
    const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    const int fds[2] = {memory, socket};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
    iovec vector{&request, sizeof request};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    *header = {CMSG_LEN(sizeof fds), SOL_SOCKET, SCM_RIGHTS};
    std::memcpy(CMSG_DATA(header), fds, sizeof fds);
    const ssize_t sent = sendmsg(ends_[0], &message, MSG_NOSIGNAL);
    close(memory);
    page_->released = id_;
    BrokerReply reply;
    if (sent < 0 || recv(ends_[0], &reply, sizeof reply, 0) != sizeof reply) return std::nullopt;
    BOOST_TEST(reply.id == id_);
    return reply;
  }

  std::string Status(const std::string& key) const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
    }
    return {};
  }

 private:
  const ProfileData& profile_;
  int ends_[2] = {-1, -1};
  WorkerPage* page_ = nullptr;
  pid_t pid_ = -1;
  uint64_t id_ = 0;
};

uint64_t At(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return to;
}

struct Bound {
  explicit Bound(int type) : fd(socket(AF_INET, type, 0)) {
    sockaddr_in any = Loopback(0);
    socklen_t size = sizeof any;
    BOOST_REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&any), size) == 0);
    if (type == SOCK_STREAM) BOOST_REQUIRE(listen(fd, 8) == 0);
    BOOST_REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size) == 0);
    port = ntohs(any.sin_port);
  }
  ~Bound() { close(fd); }
  bool HasCome() const {
    pollfd ready{fd, POLLIN, 0};
    return poll(&ready, 1, 200) == 1;
  }
  int fd;
  uint16_t port = 0;
};

BrokerRequest Connect(const sockaddr_in& to) {
  BrokerRequest request;
  request.kind = Kind::kConnect;
  request.address = At(&to);
  request.address_size = sizeof to;
  return request;
}

BOOST_AUTO_TEST_SUITE(KernelBrokerWorker)

BOOST_AUTO_TEST_CASE(ConnectsWhatARuleNames) {
  if (!CanConfine()) return;
  const Bound granted(SOCK_STREAM);
  const Bound other(SOCK_STREAM);
  const ProfileData profile = Component(granted.port);
  RealKernel kernel;
  Run run(kernel, profile);
  const sockaddr_in good = Loopback(granted.port);
  const sockaddr_in bad = Loopback(other.port);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  auto reply = run.Ask(Connect(bad), fd);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST((reply->outcome == Outcome::kRefused));
  BOOST_TEST(EndpointText(reply->socket, {reply->bytes[0], reply->sizes[0]}) ==
             "tcp:127.0.0.1:" + std::to_string(other.port));
  reply = run.Ask(Connect(good), fd);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST((reply->outcome == Outcome::kMade));
  BOOST_TEST(reply->result == 0);
  BOOST_TEST(granted.HasCome());
  BOOST_TEST(!other.HasCome());
  // What the pointer leads to is not there.
  BrokerRequest wild = Connect(good);
  wild.address = 8;
  reply = run.Ask(wild, fd);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST((reply->outcome == Outcome::kUnread));
  reply = run.Ask(Connect(good), open("/dev/null", O_RDONLY));
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(reply->result == -ENOTSOCK);
  close(fd);
}

BOOST_AUTO_TEST_CASE(SendsMessagesWithoutControlData) {
  if (!CanConfine()) return;
  const Bound granted(SOCK_DGRAM);
  const ProfileData profile = Component(granted.port);
  RealKernel kernel;
  Run run(kernel, profile);
  sockaddr_in to = Loopback(granted.port);
  char text[] = "hello";
  iovec parts[2] = {{text, 2}, {text + 2, 3}};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  BrokerRequest request;
  request.kind = Kind::kSendMessage;
  request.address = At(&message);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  auto reply = run.Ask(request, fd);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(reply->result == 5);
  char got[16] = {};
  BOOST_TEST(recv(granted.fd, got, sizeof got, 0) == 5);
  BOOST_TEST(std::string(got) == "hello");
  char control[CMSG_SPACE(sizeof(int))] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  reply = run.Ask(request, fd);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST((reply->outcome == Outcome::kControl));
  message.msg_controllen = 0;
  message.msg_iovlen = 65;
  reply = run.Ask(request, fd);
  BOOST_TEST(reply->result == -EMSGSIZE);
  message.msg_iovlen = 2;
  request.flags = MSG_FASTOPEN;
  reply = run.Ask(request, fd);
  BOOST_TEST((reply->outcome == Outcome::kRefused));
  close(fd);
}

BOOST_AUTO_TEST_CASE(ReadsTextUpToItsEnd) {
  if (!CanConfine()) return;
  const ProfileData profile = Component(1);
  RealKernel kernel;
  Run run(kernel, profile);
  auto* pages = static_cast<char*>(
      mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(pages + 4096, 4096);
  std::strcpy(pages + 4096 - 5, "/end");  // its last byte is the last one mapped
  std::memset(pages, 'x', 1000);
  BrokerRequest request;
  request.pieces[0] = {At(pages + 4096 - 5), kMaxPieceSize, 1};
  request.pieces[1] = {At(pages), kMaxPieceSize, 1};
  auto reply = run.Ask(request, 0);
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(reply->sizes[0] == 4U);
  BOOST_TEST(std::memcmp(reply->bytes[0], "/end", 4) == 0);
  BOOST_TEST(reply->sizes[1] == kMaxPieceSize);
  request.pieces[0] = {8, kMaxPieceSize, 1};
  request.pieces[1] = {At(pages + 4090), 4, 0};
  reply = run.Ask(request, 0);
  BOOST_TEST(reply->sizes[0] == kUnreadPiece);
  BOOST_TEST(reply->sizes[1] == 4U);
  munmap(pages, 4096);
}

BOOST_AUTO_TEST_CASE(IsConfined) {
  if (!CanConfine()) return;
  const ProfileData profile = Component(1);
  RealKernel kernel;
  Run run(kernel, profile);
  const sockaddr_in to = Loopback(2);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  BOOST_REQUIRE(run.Ask(Connect(to), fd).has_value());
  close(fd);
  const std::string id = std::to_string(profile.uid);
  BOOST_TEST(run.Status("Uid") == id + "\t" + id + "\t" + id + "\t" + id);
  const std::string gid = std::to_string(profile.gid);
  BOOST_TEST(run.Status("Gid") == gid + "\t" + gid + "\t" + gid + "\t" + gid);
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    BOOST_TEST(run.Status(set) == "0000000000000000", set);
  }
  BOOST_TEST(run.Status("NoNewPrivs") == "1");
  BOOST_TEST(run.Status("Seccomp") == "2");
}

// The first call that is not made counts: afterwards nothing is served.
BOOST_AUTO_TEST_CASE(ServesNobodyLessConfined) {
  if (!CanConfine()) return;
  const ProfileData profile = Component(1);
  size_t failures = 0;
  for (size_t n = 0; n < 200; ++n) {
    Faulty kernel(n);
    Run run(kernel, profile);
    const sockaddr_in to = Loopback(2);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const auto reply = run.Ask(Connect(to), fd);
    close(fd);
    if (reply) {
      // Every call of its confinement was made.
      BOOST_TEST(n > 20U);
      BOOST_TEST(run.Status("Seccomp") == "2");
      break;
    }
    ++failures;
  }
  BOOST_TEST_MESSAGE(failures << " calls, none of which may fail");
  BOOST_TEST(failures > 20U);
  BOOST_TEST(failures < 200U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
