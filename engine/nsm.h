// SPDX-License-Identifier: Apache-2.0
// The Nitro security module's messages: requests as CBOR in their shortest form, and answers read
// strictly. A request has at most 4096 bytes (else the driver answers EMSGSIZE); 12288 are always
// offered for an answer, as the module cuts off silently what does not fit. From the public
// aws-nitro-enclaves-nsm-api and linux/nsm.h. Each call is one request, never repeated.
#pragma once

#include <tl/expected.hpp>

#include <optional>
#include <span>
#include <string>
#include <variant>

#include "engine/device_door.h"
#include "profiles/digest.h"

namespace bulkhead {

inline constexpr size_t kMaxNsmRequest = 0x1000;
inline constexpr size_t kMaxNsmAnswer = 0x3000;
inline constexpr size_t kMaxNsmUserData = 512;  // and of a nonce
inline constexpr size_t kMaxNsmPublicKey = 1024;

struct NsmRegister {
  Digest value{};
  bool locked = false;
  bool operator==(const NsmRegister&) const = default;
};

struct NsmAttestation {  // an empty field is null in the document
  std::span<const uint8_t> user_data;
  std::span<const uint8_t> nonce;
  std::span<const uint8_t> public_key;
};

ByteList NsmDescribeRequest(uint32_t index);
ByteList NsmExtendRequest(uint32_t index, std::span<const uint8_t> data);
ByteList NsmLockRequest(uint32_t index);
ByteList NsmAttestationRequest(const NsmAttestation& fields);
ByteList NsmRandomRequest();

// Readers of answers. The error is for people: the module's own ("ReadOnlyIndex"), or what is wrong
// with the answer.
template <typename T>
using NsmResult = tl::expected<T, std::string>;
NsmResult<NsmRegister> ReadNsmRegister(std::span<const uint8_t> answer);  // of DescribePCR
NsmResult<Digest> ReadNsmExtended(std::span<const uint8_t> answer);
NsmResult<void> ReadNsmLocked(std::span<const uint8_t> answer);
NsmResult<ByteList> ReadNsmDocument(std::span<const uint8_t> answer);
NsmResult<ByteList> ReadNsmRandom(std::span<const uint8_t> answer);

// The same over the door: an errno as its name.
NsmResult<NsmRegister> DescribeNsmRegister(DeviceDoor& door, const std::string& path,
                                           uint32_t index);
NsmResult<Digest> ExtendNsmRegister(DeviceDoor& door, const std::string& path, uint32_t index,
                                    std::span<const uint8_t> data);
NsmResult<void> LockNsmRegister(DeviceDoor& door, const std::string& path, uint32_t index);
NsmResult<ByteList> AskNsmDocument(DeviceDoor& door, const std::string& path,
                                   const NsmAttestation& fields);
NsmResult<ByteList> AskNsmRandom(DeviceDoor& door, const std::string& path);

}  // namespace bulkhead
