// SPDX-License-Identifier: Apache-2.0
#include "engine/device_door.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "engine/fd.h"

namespace bulkhead {
namespace {

// _IOWR(0x0A, 0, struct nsm_raw) of linux/nsm.h (6.8; out of tree before).
constexpr unsigned long kNsmRaw = 0xC0200A00;
struct NsmRaw {
  uint64_t request;
  uint64_t request_size;
  uint64_t response;
  uint64_t response_size;
};
static_assert(sizeof(NsmRaw) == 0x20);

// _IOWR('T', 1, struct tdx_report_req) of linux/tdx-guest.h (6.2).
constexpr unsigned long kTdxGetReport = 0xC4405401;
struct TdxReport {
  std::array<uint8_t, kTdxReportData> data;
  std::array<uint8_t, kTdxReport> report;
};
static_assert(sizeof(TdxReport) == 0x440);

tl::unexpected<int> Error() { return tl::make_unexpected(errno); }

// No link is followed at the end, and what is no character device is not asked.
tl::expected<Fd, int> OpenDevice(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY));
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0) return Error();
  if (!S_ISCHR(info.st_mode)) return tl::make_unexpected(ENODEV);
  return fd;
}

class RealDoor final : public DeviceDoor {
 public:
  tl::expected<ByteList, int> AskNsm(const std::string& path, std::span<const uint8_t> request,
                                     size_t most) override {
    auto fd = OpenDevice(path);
    if (!fd) return tl::make_unexpected(fd.error());
    ByteList answer(most);
    NsmRaw raw{reinterpret_cast<uint64_t>(request.data()), request.size(),
               reinterpret_cast<uint64_t>(answer.data()), answer.size()};
    if (ioctl(fd->get(), kNsmRaw, &raw) != 0) return Error();
    if (raw.response_size > most) return tl::make_unexpected(EPROTO);
    answer.resize(raw.response_size);
    return answer;
  }

  tl::expected<ByteList, int> AskTdx(const std::string& path,
                                     std::span<const uint8_t, kTdxReportData> data) override {
    auto fd = OpenDevice(path);
    if (!fd) return tl::make_unexpected(fd.error());
    TdxReport asked{};
    std::ranges::copy(data, asked.data.begin());
    if (ioctl(fd->get(), kTdxGetReport, &asked) != 0) return Error();
    return ByteList(asked.report.begin(), asked.report.end());
  }

  tl::expected<ByteList, int> AskTpm(const std::string& path, std::span<const uint8_t> command,
                                     size_t most) override {
    auto fd = OpenDevice(path);
    if (!fd) return tl::make_unexpected(fd.error());
    const ssize_t written = write(fd->get(), command.data(), command.size());
    if (written < 0) return Error();
    if (static_cast<size_t>(written) != command.size()) return tl::make_unexpected(EIO);
    ByteList answer(most);
    const ssize_t size = read(fd->get(), answer.data(), answer.size());
    if (size < 0) return Error();
    answer.resize(static_cast<size_t>(size));
    return answer;
  }

  tl::expected<ByteList, int> Read(const std::string& path, size_t most) override {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!fd) return Error();
    ByteList bytes(most + 1);
    size_t size = 0;
    while (size < bytes.size()) {
      const ssize_t got = read(fd.get(), bytes.data() + size, bytes.size() - size);
      if (got < 0) return Error();
      if (got == 0) break;
      size += static_cast<size_t>(got);
    }
    if (size > most) return tl::make_unexpected(EFBIG);
    bytes.resize(size);
    return bytes;
  }

  tl::expected<size_t, int> WriteOnce(const std::string& path,
                                      std::span<const uint8_t> bytes) override {
    const Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY));
    if (!fd) return Error();
    const ssize_t written = pwrite(fd.get(), bytes.data(), bytes.size(), 0);
    if (written < 0) return Error();
    return static_cast<size_t>(written);
  }

  tl::expected<void, int> Append(const std::string& path, std::string_view text) override {
    const std::string directory = path.substr(0, path.rfind('/'));
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return Error();
    const Fd fd(open(path.c_str(),
                     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600));
    struct stat info {};
    if (!fd || fstat(fd.get(), &info) != 0) return Error();
    if (!S_ISREG(info.st_mode)) return tl::make_unexpected(EINVAL);
    const ssize_t written = write(fd.get(), text.data(), text.size());
    if (written < 0) return Error();
    if (static_cast<size_t>(written) != text.size()) return tl::make_unexpected(ENOSPC);
    if (fsync(fd.get()) != 0 && errno != EINVAL) return Error();
    return {};
  }

  tl::expected<void, int> MakeDirectory(const std::string& path) override {
    if (mkdir(path.c_str(), 0700) != 0) return Error();
    return {};
  }

  tl::expected<void, int> RemoveDirectory(const std::string& path) override {
    if (rmdir(path.c_str()) != 0) return Error();
    return {};
  }
};

}  // namespace

std::unique_ptr<DeviceDoor> MakeRealDoor() { return std::make_unique<RealDoor>(); }

}  // namespace bulkhead
