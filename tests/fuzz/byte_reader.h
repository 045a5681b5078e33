// SPDX-License-Identifier: Apache-2.0
// Values from the bytes of a fuzzer, front to back; 0 when they are used up. A value: one reader an
// input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bulkhead::testing {

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool AtEnd() const { return rest_.empty(); }

  uint8_t Byte() { return static_cast<uint8_t>(Number(1)); }
  uint16_t Half() { return static_cast<uint16_t>(Number(2)); }
  uint32_t Word() { return static_cast<uint32_t>(Number(4)); }
  uint64_t Long() { return Number(8); }
  // Takes one byte; `limit` is 1 to 256.
  uint32_t Below(uint32_t limit) { return Byte() % limit; }

 private:
  uint64_t Number(size_t bytes) {  // little endian
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && !rest_.empty(); ++i) {
      value |= uint64_t{static_cast<uint8_t>(rest_.front())} << (8 * i);
      rest_.remove_prefix(1);
    }
    return value;
  }

  std::string_view rest_;
};

}  // namespace bulkhead::testing
