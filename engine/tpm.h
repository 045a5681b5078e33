// SPDX-License-Identifier: Apache-2.0
// The two commands of a TPM 2.0 that measuring needs, as bytes (TCG, TPM 2.0 library, part 3:
// TPM2_PCR_Read, TPM2_PCR_Extend), in the SHA-384 bank alone, for /dev/tpmrm0 and the like. A
// register is read back after it was extended; nothing is repeated. Integers are big endian.
#pragma once

#include <tl/expected.hpp>

#include <span>
#include <string>

#include "engine/device_door.h"
#include "profiles/digest.h"

namespace bulkhead {

inline constexpr size_t kMaxTpmAnswer = 4096;

ByteList TpmReadCommand(uint32_t index);
// With an empty password, as platforms leave these registers.
ByteList TpmExtendCommand(uint32_t index, const Digest& digest);

// The error is for people: the response code, or what is wrong with the answer.
tl::expected<Digest, std::string> ReadTpmRegister(std::span<const uint8_t> answer, uint32_t index);
tl::expected<void, std::string> ReadTpmExtended(std::span<const uint8_t> answer);

tl::expected<Digest, std::string> TpmRegister(DeviceDoor& door, const std::string& path,
                                              uint32_t index);
tl::expected<void, std::string> ExtendTpmRegister(DeviceDoor& door, const std::string& path,
                                                  uint32_t index, const Digest& digest);

}  // namespace bulkhead
