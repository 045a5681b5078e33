// SPDX-License-Identifier: Apache-2.0
// The part of CBOR (RFC 8949) that attestation needs: unsigned and negative integers, byte and text
// strings, arrays, maps, tags, false, true and null, all of definite length. A writer of the
// shortest forms, and a reader that walks the bytes once and takes nothing else: no indefinite
// length, no longer form than needed, no floating point. The reader never allocates and never looks
// past its bytes; nesting is the caller's, which knows what it expects, and Skip is bounded.
// Plain values, single-threaded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace bulkhead {

class CborWriter {
 public:
  CborWriter& Unsigned(uint64_t value) { return Head(0, value); }
  CborWriter& Negative(uint64_t value) { return Head(1, value); }  // -1 - value
  CborWriter& Bytes(std::span<const uint8_t> bytes);
  CborWriter& Text(std::string_view text);
  CborWriter& Array(uint64_t count) { return Head(4, count); }
  CborWriter& Map(uint64_t pairs) { return Head(5, pairs); }
  CborWriter& Tag(uint64_t tag) { return Head(6, tag); }
  CborWriter& Boolean(bool value) { return Head(7, value ? 21 : 20); }
  CborWriter& Null() { return Head(7, 22); }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  CborWriter& Head(uint8_t major, uint64_t value);
  std::vector<uint8_t> bytes_;
};

enum class CborType : uint8_t { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kSimple };

// Each Take takes the next item if it is of that kind, and otherwise nothing.
class CborReader {
 public:
  explicit CborReader(std::span<const uint8_t> bytes) : rest_(bytes) {}

  bool AtEnd() const { return rest_.empty(); }
  std::span<const uint8_t> rest() const { return rest_; }
  std::optional<CborType> Peek() const;
  std::optional<uint64_t> TakeUnsigned() { return TakeHead(CborType::kUnsigned); }
  std::optional<uint64_t> TakeNegative() { return TakeHead(CborType::kNegative); }
  std::optional<std::span<const uint8_t>> TakeBytes() { return TakeString(CborType::kBytes); }
  std::optional<std::string_view> TakeText();
  std::optional<uint64_t> TakeArray() { return TakeHead(CborType::kArray); }  // its items follow
  std::optional<uint64_t> TakeMap() { return TakeHead(CborType::kMap); }      // its pairs follow
  std::optional<uint64_t> TakeTag() { return TakeHead(CborType::kTag); }      // its item follows
  std::optional<bool> TakeBoolean();
  bool TakeNull();
  // One whole item with all that is in it; at most kMaxItems of them.
  bool Skip();

  static constexpr uint64_t kMaxItems = 4096;

 private:
  struct Head {
    CborType type;
    uint64_t value;
    size_t size;
  };
  std::optional<Head> ReadHead() const;
  std::optional<uint64_t> TakeHead(CborType type);
  std::optional<std::span<const uint8_t>> TakeString(CborType type);
  std::span<const uint8_t> rest_;
};

}  // namespace bulkhead
