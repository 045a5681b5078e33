// SPDX-License-Identifier: Apache-2.0
// e2e-platform SOCKET: plays a Nitro security module and a TDX guest's files behind SOCKET until it
// is killed. Their state is that of one boot.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "engine/fd.h"
#include "tests/platform/door_message.h"
#include "tests/platform/fake_platform.h"

namespace bulkhead::test {
namespace {

using Answer = tl::expected<ByteList, int>;

Answer Nothing(const tl::expected<void, int>& done) {
  if (!done) return tl::make_unexpected(done.error());
  return ByteList();
}

Answer Handle(FakePlatform& platform, std::map<size_t, int>& failures, const DoorMessage& message) {
  switch (message.operation) {
    case DoorOperation::kNsm:
      return platform.AskNsm(message.path, message.data, message.most);
    case DoorOperation::kTdx:
      if (message.data.size() != kTdxReportData) return tl::make_unexpected(EINVAL);
      return platform.AskTdx(message.path, std::span(message.data).first<kTdxReportData>());
    case DoorOperation::kRead:
      return platform.Read(message.path, message.most);
    case DoorOperation::kWrite: {
      const auto written = platform.WriteOnce(message.path, message.data);
      if (!written) return tl::make_unexpected(written.error());
      const uint64_t size = *written;
      ByteList bytes(sizeof size);
      std::memcpy(bytes.data(), &size, sizeof size);
      return bytes;
    }
    case DoorOperation::kMakeDirectory:
      return Nothing(platform.MakeDirectory(message.path));
    case DoorOperation::kRemoveDirectory:
      return Nothing(platform.RemoveDirectory(message.path));
    case DoorOperation::kRoot: {
      const std::string pem = platform.nsm.RootPem();
      return ByteList(pem.begin(), pem.end());
    }
    case DoorOperation::kFail:
      failures[platform.operations + std::strtoul(message.path.c_str(), nullptr, 10)] =
          static_cast<int>(message.most);
      return ByteList();
  }
  return tl::make_unexpected(EINVAL);
}

int Serve(const char* path) {
  FakePlatform platform(path);
  std::map<size_t, int> failures;
  platform.fail = [&](size_t number, const std::string&) {
    const auto found = failures.find(number);
    return found == failures.end() ? 0 : found->second;
  };
  const Fd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener.get(), 16) != 0) {
    std::perror(path);
    return 1;
  }
  for (;;) {
    const Fd client(accept(listener.get(), nullptr, nullptr));
    ByteList bytes(kMaxDoorMessage);
    const ssize_t size = recv(client.get(), bytes.data(), bytes.size(), 0);
    if (size <= 0) continue;
    bytes.resize(static_cast<size_t>(size));
    DoorMessage message;
    const Answer answer = Decode(bytes, message) ? Handle(platform, failures, message)
                                                 : Answer(tl::make_unexpected(EINVAL));
    const int error = answer ? 0 : answer.error();
    ByteList out(4);
    std::memcpy(out.data(), &error, 4);
    if (answer) out.insert(out.end(), answer->begin(), answer->end());
    send(client.get(), out.data(), out.size(), MSG_NOSIGNAL);
  }
}

}  // namespace
}  // namespace bulkhead::test

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return bulkhead::test::Serve(argv[1]);
}
