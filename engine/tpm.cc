// SPDX-License-Identifier: Apache-2.0
#include "engine/tpm.h"

#include <algorithm>
#include <cstdio>

#include "engine/event.h"

namespace bulkhead {
namespace {

constexpr uint16_t kNoSessions = 0x8001;    // TPM_ST_NO_SESSIONS
constexpr uint16_t kSessions = 0x8002;      // TPM_ST_SESSIONS
constexpr uint32_t kPcrRead = 0x17E;        // TPM_CC_PCR_Read
constexpr uint32_t kPcrExtend = 0x182;      // TPM_CC_PCR_Extend
constexpr uint32_t kPassword = 0x40000009;  // TPM_RS_PW
constexpr uint16_t kSha384 = 0x000C;        // TPM_ALG_SHA384
constexpr uint8_t kSelectSize = 3;          // 24 registers
constexpr uint32_t kPasswordSize = 9;       // handle, no nonce, no attributes, no password

using Answer = std::span<const uint8_t>;

class Writer {
 public:
  explicit Writer(uint16_t tag, uint32_t code) { U16(tag).U32(0).U32(code); }
  Writer& U8(uint8_t value) {
    bytes_.push_back(value);
    return *this;
  }
  Writer& U16(uint16_t value) {
    return U8(static_cast<uint8_t>(value >> 8)).U8(static_cast<uint8_t>(value));
  }
  Writer& U32(uint32_t value) {
    return U16(static_cast<uint16_t>(value >> 16)).U16(static_cast<uint16_t>(value));
  }
  Writer& All(std::span<const uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  ByteList Finish() {
    const auto size = static_cast<uint32_t>(bytes_.size());
    for (size_t i = 0; i < 4; ++i) bytes_[2 + i] = static_cast<uint8_t>(size >> (24 - 8 * i));
    return std::move(bytes_);
  }

 private:
  ByteList bytes_;
};

class Reader {
 public:
  explicit Reader(Answer bytes) : rest_(bytes) {}
  // 0 past the end, which ok() tells.
  uint32_t Take(size_t size) {
    if (rest_.size() < size) ok_ = false;
    uint32_t value = 0;
    for (size_t i = 0; ok_ && i < size; ++i) value = value << 8 | rest_[i];
    if (ok_) rest_ = rest_.subspan(size);
    return value;
  }
  bool ok() const { return ok_; }
  Answer rest() const { return rest_; }

 private:
  Answer rest_;
  bool ok_ = true;
};

tl::unexpected<std::string> Wrong(const std::string& what) { return tl::make_unexpected(what); }

// Stands behind the header of an answer that says success.
tl::expected<Reader, std::string> Enter(Answer answer, uint16_t tag) {
  Reader in(answer);
  const uint32_t got = in.Take(2);
  const uint32_t size = in.Take(4);
  const uint32_t code = in.Take(4);
  if (!in.ok() || size != answer.size()) return Wrong("an answer of another form");
  if (code != 0) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%x", code);
    return Wrong(std::string("the TPM answers ") + text);
  }
  if (got != tag) return Wrong("an answer of another form");
  return in;
}

tl::expected<ByteList, std::string> Ask(DeviceDoor& door, const std::string& path,
                                        const ByteList& command) {
  auto answer = door.AskTpm(path, command, kMaxTpmAnswer);
  if (!answer) return Wrong(ErrnoName(answer.error()));
  return std::move(*answer);
}

uint8_t SelectByte(uint32_t index, size_t byte) {
  return index / 8 == byte ? static_cast<uint8_t>(1U << (index % 8)) : uint8_t{0};
}

}  // namespace

ByteList TpmReadCommand(uint32_t index) {
  Writer out(kNoSessions, kPcrRead);
  out.U32(1).U16(kSha384).U8(kSelectSize);
  for (size_t byte = 0; byte < kSelectSize; ++byte) out.U8(SelectByte(index, byte));
  return out.Finish();
}

ByteList TpmExtendCommand(uint32_t index, const Digest& digest) {
  Writer out(kSessions, kPcrExtend);
  out.U32(index).U32(kPasswordSize).U32(kPassword).U16(0).U8(0).U16(0);
  out.U32(1).U16(kSha384).All(digest);
  return out.Finish();
}

tl::expected<Digest, std::string> ReadTpmRegister(Answer answer, uint32_t index) {
  auto in = Enter(answer, kNoSessions);
  if (!in) return Wrong(in.error());
  in->Take(4);  // how often registers were updated
  const bool one = in->Take(4) == 1 && in->Take(2) == kSha384 && in->Take(1) == kSelectSize;
  if (!one) return Wrong("no SHA-384 bank");
  for (size_t byte = 0; byte < kSelectSize; ++byte) {
    // A bank that is not there is answered with nothing selected.
    if (in->Take(1) != SelectByte(index, byte)) return Wrong("no SHA-384 bank");
  }
  if (in->Take(4) != 1 || in->Take(2) != sizeof(Digest) || !in->ok() ||
      in->rest().size() != sizeof(Digest)) {
    return Wrong("an answer of another form");
  }
  Digest digest{};
  std::ranges::copy(in->rest(), digest.begin());
  return digest;
}

tl::expected<void, std::string> ReadTpmExtended(Answer answer) {
  const auto in = Enter(answer, kSessions);
  if (!in) return Wrong(in.error());
  return {};
}

tl::expected<Digest, std::string> TpmRegister(DeviceDoor& door, const std::string& path,
                                              uint32_t index) {
  return Ask(door, path, TpmReadCommand(index)).and_then([&](const ByteList& answer) {
    return ReadTpmRegister(answer, index);
  });
}

tl::expected<void, std::string> ExtendTpmRegister(DeviceDoor& door, const std::string& path,
                                                  uint32_t index, const Digest& digest) {
  return Ask(door, path, TpmExtendCommand(index, digest)).and_then([](const ByteList& answer) {
    return ReadTpmExtended(answer);
  });
}

}  // namespace bulkhead
