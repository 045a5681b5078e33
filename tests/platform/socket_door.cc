// SPDX-License-Identifier: Apache-2.0
// The door of the test build of bulkhead-init, in place of engine/system_door.cc: a path that leads
// through a socket is asked over it, any other is this machine's.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "engine/device_door.h"
#include "engine/fd.h"
#include "tests/platform/door_message.h"

namespace bulkhead {
namespace {

using test::DoorMessage;
using test::DoorOperation;

// The beginning of `path` that is a socket; empty: none is.
std::string SocketIn(std::string path) {
  while (!path.empty()) {
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) return path;
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  return {};
}

tl::expected<ByteList, int> Exchange(const std::string& socket_path, const DoorMessage& message) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size());
  const Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return tl::make_unexpected(errno);
  }
  const ByteList request = test::Encode(message);
  if (send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return tl::make_unexpected(errno);
  }
  ByteList answer(test::kMaxDoorMessage);
  const ssize_t size = recv(fd.get(), answer.data(), answer.size(), 0);
  if (size < 4) return tl::make_unexpected(EPROTO);
  int error = 0;
  std::memcpy(&error, answer.data(), 4);
  if (error != 0) return tl::make_unexpected(error);
  return ByteList(answer.begin() + 4, answer.begin() + size);
}

class SocketDoor final : public DeviceDoor {
 public:
  tl::expected<ByteList, int> AskNsm(const std::string& path, std::span<const uint8_t> request,
                                     size_t most) override {
    const std::string by = SocketIn(path);
    if (by.empty()) return files_->AskNsm(path, request, most);
    return Exchange(
        by,
        {DoorOperation::kNsm, static_cast<uint32_t>(most), path, {request.begin(), request.end()}});
  }
  tl::expected<ByteList, int> AskTdx(const std::string& path,
                                     std::span<const uint8_t, kTdxReportData> data) override {
    const std::string by = SocketIn(path);
    if (by.empty()) return files_->AskTdx(path, data);
    return Exchange(by, {DoorOperation::kTdx, kTdxReport, path, {data.begin(), data.end()}});
  }

  tl::expected<ByteList, int> AskTpm(const std::string& path, std::span<const uint8_t> command,
                                     size_t most) override {
    return files_->AskTpm(path, command, most);
  }
  tl::expected<ByteList, int> Read(const std::string& path, size_t most) override {
    const std::string by = SocketIn(path);
    if (by.empty()) return files_->Read(path, most);
    return Exchange(by, {DoorOperation::kRead, static_cast<uint32_t>(most), path, {}});
  }
  tl::expected<size_t, int> WriteOnce(const std::string& path,
                                      std::span<const uint8_t> bytes) override {
    const std::string by = SocketIn(path);
    if (by.empty()) return files_->WriteOnce(path, bytes);
    const auto answer =
        Exchange(by, {DoorOperation::kWrite, 0, path, {bytes.begin(), bytes.end()}});
    if (!answer) return tl::make_unexpected(answer.error());
    uint64_t written = 0;
    if (answer->size() == sizeof written) std::memcpy(&written, answer->data(), sizeof written);
    return written;
  }
  tl::expected<void, int> Append(const std::string& path, std::string_view text) override {
    return files_->Append(path, text);
  }
  tl::expected<void, int> MakeDirectory(const std::string& path) override {
    return Directory(DoorOperation::kMakeDirectory, path);
  }
  tl::expected<void, int> RemoveDirectory(const std::string& path) override {
    return Directory(DoorOperation::kRemoveDirectory, path);
  }

 private:
  tl::expected<void, int> Directory(DoorOperation operation, const std::string& path) {
    const std::string by = SocketIn(path);
    if (by.empty()) return tl::make_unexpected(ENOENT);
    const auto answer = Exchange(by, {operation, 0, path, {}});
    if (!answer) return tl::make_unexpected(answer.error());
    return {};
  }
  std::unique_ptr<DeviceDoor> files_ = MakeRealDoor();
};

}  // namespace

std::unique_ptr<DeviceDoor> SystemDoor() { return std::make_unique<SocketDoor>(); }

}  // namespace bulkhead
