// SPDX-License-Identifier: Apache-2.0
// How the test build of bulkhead-init reaches a platform that another process plays: one message a
// request over a SOCK_SEQPACKET socket, which stands where the policy's target has its devices. The
// path of the socket is the beginning of the devices' paths.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace bulkhead::test {

enum class DoorOperation : uint8_t {
  kNsm = 1,
  kRead,
  kWrite,
  kMakeDirectory,
  kRemoveDirectory,
  kTdx,
  // Of tests themselves.
  kRoot,  // the CA's certificate, PEM
  kFail,  // `most` is the errno that the operation after `path` (a number) others gets
};

struct DoorMessage {
  DoorOperation operation = DoorOperation::kRead;
  uint32_t most = 0;
  std::string path;
  std::vector<uint8_t> data;
};

inline constexpr size_t kMaxDoorMessage = 65536;

inline std::vector<uint8_t> Encode(const DoorMessage& message) {
  std::vector<uint8_t> out{static_cast<uint8_t>(message.operation)};
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<uint8_t>(message.most >> shift));
  }
  out.push_back(static_cast<uint8_t>(message.path.size()));
  out.push_back(static_cast<uint8_t>(message.path.size() >> 8));
  out.insert(out.end(), message.path.begin(), message.path.end());
  out.insert(out.end(), message.data.begin(), message.data.end());
  return out;
}

inline bool Decode(const std::vector<uint8_t>& bytes, DoorMessage& message) {
  if (bytes.size() < 7) return false;
  message.operation = static_cast<DoorOperation>(bytes[0]);
  message.most = 0;
  for (size_t i = 0; i < 4; ++i) message.most |= uint32_t{bytes[1 + i]} << (8 * i);
  const size_t size = bytes[5] | static_cast<size_t>(bytes[6]) << 8;
  if (bytes.size() < 7 + size) return false;
  message.path.assign(bytes.begin() + 7, bytes.begin() + 7 + static_cast<std::ptrdiff_t>(size));
  message.data.assign(bytes.begin() + 7 + static_cast<std::ptrdiff_t>(size), bytes.end());
  return true;
}

}  // namespace bulkhead::test
