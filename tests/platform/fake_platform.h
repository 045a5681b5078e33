// SPDX-License-Identifier: Apache-2.0
// A machine with a Nitro security module and a TDX guest's files, by a DeviceDoor: the module of
// FakeNsm, registers with the kernel's write semantics (47 bytes are EINVAL; of 49 it takes 48,
// extends and says 48), TDREPORTs of them, reports that count their writes, and quotes of version 4
// without a signature. What lies beneath other paths are files of this machine. Single-threaded.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/device_door.h"
#include "profiles/digest.h"
#include "tests/platform/fake_nsm.h"

namespace bulkhead::test {

class FakePlatform final : public DeviceDoor {
 public:
  // `root`: the devices are ROOT/nsm, ROOT/rtmr, ROOT/tdx and ROOT/tsm.
  explicit FakePlatform(std::string root) : root_(std::move(root)) {}

  tl::expected<ByteList, int> AskNsm(const std::string& path, std::span<const uint8_t> request,
                                     size_t most) override;
  tl::expected<ByteList, int> AskTdx(const std::string& path,
                                     std::span<const uint8_t, kTdxReportData> data) override;
  tl::expected<ByteList, int> AskTpm(const std::string& path, std::span<const uint8_t> command,
                                     size_t most) override;
  tl::expected<ByteList, int> Read(const std::string& path, size_t most) override;
  tl::expected<size_t, int> WriteOnce(const std::string& path,
                                      std::span<const uint8_t> bytes) override;
  tl::expected<void, int> Append(const std::string& path, std::string_view text) override;
  tl::expected<void, int> MakeDirectory(const std::string& path) override;
  tl::expected<void, int> RemoveDirectory(const std::string& path) override;

  FakeNsm nsm;
  std::array<Digest, 4> rtmr{};
  size_t quotes = 0;
  size_t operations = 0;
  // Asked before each operation, numbered from 1: an errno makes it fail without effect, 0 goes on.
  std::function<int(size_t number, const std::string& operation)> fail;
  // Changes what an operation that gives bytes gives.
  std::function<void(size_t number, ByteList& answer)> change;
  // Changes what a write says, after its effect.
  std::function<void(size_t number, size_t& written)> change_written;

 private:
  struct Report {
    ByteList in;
    uint64_t generation = 0;
  };
  int Enter(const std::string& operation);
  tl::expected<ByteList, int> Leave(ByteList answer);
  ByteList Quote(const ByteList& data) const;

  std::string root_;
  std::map<std::string, Report> reports_;
  std::unique_ptr<DeviceDoor> files_ = MakeRealDoor();
};

}  // namespace bulkhead::test
