// SPDX-License-Identifier: Apache-2.0
// e2e-tdx PATH: a TDX guest's device as /dev/tdx_guest, mode 0600 like the driver's, until it is
// killed. Reports are those of PATH, which leads through the socket of e2e-platform: registers and
// reports are then one machine's. An ioctl gives a struct tdx_report_req (linux/tdx-guest.h) and
// gets it back.
#include <sys/types.h>

#include <cerrno>
#include <memory>
#include <string>

#include "engine/device_door.h"
#include "tests/platform/cuse_device.h"

namespace bulkhead::test {
namespace {

constexpr uint32_t kGetReport = 0xC4405401;
constexpr size_t kRequest = kTdxReportData + kTdxReport;

class Guest final : public CuseDevice {
 public:
  explicit Guest(std::string path) : CuseDevice("tdx_guest", 0600), path_(std::move(path)) {}

 protected:
  IoctlReply Ioctl(const IoctlCall& call) override {
    if (call.command != kGetReport) return {ENOTTY};
    const Memory whole{call.argument, kRequest};
    if (call.input.size() != kRequest || call.room != kRequest) {
      return {.in = {whole}, .out = {whole}};
    }
    const auto data = call.input.first<kTdxReportData>();
    const auto report = door_->AskTdx(path_, data);
    if (!report) return {report.error()};
    std::string bytes(data.begin(), data.end());
    bytes.append(report->begin(), report->end());
    return {.bytes = bytes};
  }

 private:
  std::string path_;
  std::unique_ptr<DeviceDoor> door_ = SystemDoor();
};

}  // namespace
}  // namespace bulkhead::test

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return bulkhead::test::Guest(argv[1]).Serve();
}
