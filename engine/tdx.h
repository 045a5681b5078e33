// SPDX-License-Identifier: Apache-2.0
// A TDX guest's registers and quotes by the kernel's files, its reports by its device.
//
// Registers (Linux 6.16, tsm-mr): BASE/rtmrN:sha384 holds 48 bytes; a write extends,
// RTMR = SHA-384(RTMR || bytes). 47 bytes are EINVAL; of 49 the kernel takes 48, extends and says
// 48. So an extend is one pwrite of 48 bytes at offset 0, never a loop, never a second try, and
// what it came to is read back.
// Reports (Linux 6.2): what the TDX module itself says of all registers, with the asker's 64 bytes
// in it (TDREPORT_STRUCT of the TDX module's interface: type 0x81 at 0, report data at 128, the
// guest's part at 512, there RTMR0 at 208). Quotes (Linux 6.7, configfs-tsm): a directory of its
// own under BASE, 64 bytes to `inblob`, the quote from `outblob`, valid only if `generation` is one
// more than before, as anybody else who writes to it counts, too.
#pragma once

#include <tl/expected.hpp>

#include <array>
#include <span>
#include <string>

#include "engine/device_door.h"
#include "profiles/digest.h"

namespace bulkhead {

inline constexpr size_t kMaxQuote = 32768;  // what the kernel's file holds

std::string RtmrPath(const std::string& base, uint32_t index);

// The error is for people.
tl::expected<Digest, std::string> ReadRtmr(DeviceDoor& door, const std::string& base,
                                           uint32_t index);
// What it comes to is for the caller to read.
tl::expected<void, std::string> ExtendRtmr(DeviceDoor& door, const std::string& base,
                                           uint32_t index, const Digest& digest);
// The register in a report that is asked for now, with `data` in it. Precondition: index < 4.
tl::expected<Digest, std::string> ReportedRtmr(DeviceDoor& door, const std::string& device,
                                               uint32_t index, const Digest& data);
// `name`: of the report's directory, which nobody else uses.
tl::expected<ByteList, std::string> AskTdxQuote(DeviceDoor& door, const std::string& base,
                                                const std::string& name,
                                                const std::array<uint8_t, 64>& data);

}  // namespace bulkhead
