// SPDX-License-Identifier: Apache-2.0
// The one door to a platform's attestation devices: everything that is asked of them goes through
// here, so that a test can stand in for the hardware, and can fail each operation. Paths come from
// the verified bundle, never from the environment or the kernel's command line. Every operation
// opens what it needs and closes it again; none is ever repeated here. Errors are errnos.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

using ByteList = std::vector<uint8_t>;

inline constexpr size_t kTdxReportData = 64;
inline constexpr size_t kTdxReport = 1024;

class DeviceDoor {
 public:
  virtual ~DeviceDoor() = default;

  // One request of the Nitro security module: ioctl 0xC0200A00 (linux/nsm.h) of a character device,
  // with `most` bytes offered for the answer.
  virtual tl::expected<ByteList, int> AskNsm(const std::string& path,
                                             std::span<const uint8_t> request, size_t most) = 0;
  // The TDREPORT of a TDX guest's character device, with `data` in it: ioctl 0xC4405401
  // (TDX_CMD_GET_REPORT0 of linux/tdx-guest.h, Linux 6.2).
  virtual tl::expected<ByteList, int> AskTdx(const std::string& path,
                                             std::span<const uint8_t, kTdxReportData> data) = 0;
  // One command of a TPM's character device: one write, one read.
  virtual tl::expected<ByteList, int> AskTpm(const std::string& path,
                                             std::span<const uint8_t> command, size_t most) = 0;
  // The whole file; EFBIG when it is longer than `most`.
  virtual tl::expected<ByteList, int> Read(const std::string& path, size_t most) = 0;
  // One pwrite(2) at offset 0 of a file that is there, and what it answered.
  virtual tl::expected<size_t, int> WriteOnce(const std::string& path,
                                              std::span<const uint8_t> bytes) = 0;
  // At the end of a file, which is made with mode 0600, its directory with 0700; onto its disk.
  virtual tl::expected<void, int> Append(const std::string& path, std::string_view text) = 0;
  virtual tl::expected<void, int> MakeDirectory(const std::string& path) = 0;
  virtual tl::expected<void, int> RemoveDirectory(const std::string& path) = 0;
};

// The devices of this machine.
std::unique_ptr<DeviceDoor> MakeRealDoor();
// What bulkhead-init uses: these. Test programs are linked with another function of this name.
std::unique_ptr<DeviceDoor> SystemDoor();

}  // namespace bulkhead
