// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_chain.h"

#include <utility>

namespace bulkhead {
namespace {

constexpr std::string_view kStartLabel{"bulkhead audit v1\0", 18};
constexpr std::string_view kSignatureLabel{"bulkhead audit checkpoint v1\0", 29};

void AppendBytes(std::string& out, const Digest& digest) {
  out.append(reinterpret_cast<const char*>(digest.data()), digest.size());
}

// `text` is an event as EncodeEvent writes it.
ChainedLine Chained(const ChainPoint& point, uint64_t sequence, std::string text) {
  text.append(kPrevField).append(Hex(point.head)).append("\"}");
  const Digest hash = LinkHash(point.head, text);
  text.pop_back();
  text.append(kHashField).append(Hex(hash)).append("\"}\n");
  return {std::move(text), {sequence, hash}};
}

}  // namespace

ChainPoint ChainStart(const Digest& bundle, std::string_view boot) {
  std::string bytes(kStartLabel);
  AppendBytes(bytes, bundle);
  bytes += boot;
  return {0, Sha384(bytes)};
}

Digest LinkHash(const Digest& prev, std::string_view unhashed) {
  std::string bytes;
  AppendBytes(bytes, prev);
  bytes += unhashed;
  return Sha384(bytes);
}

std::string SignedMessage(const Digest& prev, std::string_view text) {
  std::string message(kSignatureLabel);
  AppendBytes(message, prev);
  message += text;
  return message;
}

ChainedLine Link(const ChainPoint& point, Event event) {
  event.sequence = point.sequence + 1;
  return Chained(point, event.sequence, EncodeEvent(event));
}

ChainedLine LinkSigned(const ChainPoint& point, Event event, const AuditKey& key) {
  event.sequence = point.sequence + 1;
  event.extra.push_back({std::string(kSignatureName), ""});
  std::string text = EncodeEvent(event);
  const Signature signature = key.Sign(SignedMessage(point.head, text));
  // Quotes inside values are escaped: the field is where the canonical form has it and nowhere
  // else.
  const size_t at = text.rfind(kSignatureField) + kSignatureField.size();
  text.insert(at, Hex(signature));
  return Chained(point, event.sequence, std::move(text));
}

}  // namespace bulkhead
