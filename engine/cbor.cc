// SPDX-License-Identifier: Apache-2.0
#include "engine/cbor.h"

namespace bulkhead {
namespace {

constexpr uint64_t kFalse = 20;
constexpr uint64_t kTrue = 21;
constexpr uint64_t kNull = 22;

}  // namespace

CborWriter& CborWriter::Head(uint8_t major, uint64_t value) {
  const auto top = static_cast<uint8_t>(major << 5);
  if (value < 24) {
    bytes_.push_back(static_cast<uint8_t>(top | value));
    return *this;
  }
  const int log = value <= 0xff ? 0 : value <= 0xffff ? 1 : value <= 0xffffffff ? 2 : 3;
  bytes_.push_back(static_cast<uint8_t>(top | (24 + log)));
  for (int shift = (8 << log) - 8; shift >= 0; shift -= 8) {
    bytes_.push_back(static_cast<uint8_t>(value >> shift));
  }
  return *this;
}

CborWriter& CborWriter::Bytes(std::span<const uint8_t> bytes) {
  Head(2, bytes.size());
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

CborWriter& CborWriter::Text(std::string_view text) {
  Head(3, text.size());
  bytes_.insert(bytes_.end(), text.begin(), text.end());
  return *this;
}

std::optional<CborReader::Head> CborReader::ReadHead() const {
  if (rest_.empty()) return std::nullopt;
  const auto type = static_cast<CborType>(rest_[0] >> 5);
  const uint8_t low = rest_[0] & 31;
  if (low < 24) return Head{type, low, 1};
  // Simple values of two bytes and floating point are not in here, nor is an indefinite length.
  if (low > 27 || type == CborType::kSimple) return std::nullopt;
  const size_t size = size_t{1} << (low - 24);
  if (rest_.size() < 1 + size) return std::nullopt;
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | rest_[1 + i];
  const uint64_t least = size == 1 ? 24 : uint64_t{1} << (4 * size);
  if (value < least) return std::nullopt;
  return Head{type, value, 1 + size};
}

std::optional<CborType> CborReader::Peek() const {
  const auto head = ReadHead();
  return head ? std::optional(head->type) : std::nullopt;
}

std::optional<uint64_t> CborReader::TakeHead(CborType type) {
  const auto head = ReadHead();
  if (!head || head->type != type) return std::nullopt;
  rest_ = rest_.subspan(head->size);
  return head->value;
}

std::optional<std::span<const uint8_t>> CborReader::TakeString(CborType type) {
  const auto head = ReadHead();
  if (!head || head->type != type || head->value > rest_.size() - head->size) return std::nullopt;
  const auto bytes = rest_.subspan(head->size, head->value);
  rest_ = rest_.subspan(head->size + head->value);
  return bytes;
}

std::optional<std::string_view> CborReader::TakeText() {
  const auto bytes = TakeString(CborType::kText);
  if (!bytes) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

std::optional<bool> CborReader::TakeBoolean() {
  const auto head = ReadHead();
  if (!head || head->type != CborType::kSimple || (head->value != kFalse && head->value != kTrue)) {
    return std::nullopt;
  }
  rest_ = rest_.subspan(head->size);
  return head->value == kTrue;
}

bool CborReader::TakeNull() {
  const auto head = ReadHead();
  if (!head || head->type != CborType::kSimple || head->value != kNull) return false;
  rest_ = rest_.subspan(head->size);
  return true;
}

bool CborReader::Skip() {
  uint64_t owed = 1;
  uint64_t items = 0;
  while (owed > 0) {
    const auto head = ReadHead();
    if (!head || ++items > kMaxItems) return false;
    --owed;
    switch (head->type) {
      case CborType::kUnsigned:
      case CborType::kNegative:
        break;
      case CborType::kSimple:
        if (head->value < kFalse || head->value > kNull) return false;
        break;
      case CborType::kBytes:
      case CborType::kText:
        if (!TakeString(head->type)) return false;
        continue;
      case CborType::kArray:
      case CborType::kMap:
        if (head->value > kMaxItems) return false;
        owed += head->type == CborType::kMap ? 2 * head->value : head->value;
        break;
      case CborType::kTag:
        ++owed;
        break;
    }
    rest_ = rest_.subspan(head->size);
  }
  return true;
}

}  // namespace bulkhead
