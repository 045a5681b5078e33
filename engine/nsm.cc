// SPDX-License-Identifier: Apache-2.0
#include "engine/nsm.h"

#include <algorithm>

#include "engine/cbor.h"
#include "engine/event.h"

namespace bulkhead {
namespace {

using Answer = std::span<const uint8_t>;

tl::unexpected<std::string> Wrong(const std::string& what) { return tl::make_unexpected(what); }

// {"NAME": {…}}: stands before the inner map's pairs, whose number it gives.
NsmResult<uint64_t> Enter(CborReader& in, std::string_view name) {
  const auto pairs = in.TakeMap();
  const auto key = pairs == 1 ? in.TakeText() : std::nullopt;
  if (!key) return Wrong("an answer of another form");
  if (*key == "Error") {
    const auto error = in.TakeText();
    if (!error || error->size() > 64) return Wrong("an answer of another form");
    return Wrong("the module answers " + EscapeText(*error).text);
  }
  const auto inner = *key == name ? in.TakeMap() : std::nullopt;
  if (!inner) return Wrong("an answer to another question");
  return *inner;
}

std::optional<Digest> TakeDigest(CborReader& in) {
  const auto bytes = in.TakeBytes();
  if (!bytes || bytes->size() != sizeof(Digest)) return std::nullopt;
  Digest digest{};
  std::ranges::copy(*bytes, digest.begin());
  return digest;
}

// {"NAME": {"FIELD": bytes}}
NsmResult<Answer> ReadOnlyField(Answer answer, std::string_view name, std::string_view field) {
  CborReader in(answer);
  const auto pairs = Enter(in, name);
  if (!pairs) return Wrong(pairs.error());
  const auto key = *pairs == 1 ? in.TakeText() : std::nullopt;
  const auto bytes = key == field ? in.TakeBytes() : std::nullopt;
  if (!bytes || !in.AtEnd()) return Wrong("an answer of another form");
  return *bytes;
}

void PutOptional(CborWriter& out, std::string_view key, std::span<const uint8_t> bytes) {
  out.Text(key);
  if (bytes.empty()) {
    out.Null();
  } else {
    out.Bytes(bytes);
  }
}

NsmResult<ByteList> Ask(DeviceDoor& door, const std::string& path, const ByteList& request) {
  if (request.size() > kMaxNsmRequest) return Wrong("EMSGSIZE: the request is too long");
  auto answer = door.AskNsm(path, request, kMaxNsmAnswer);
  if (!answer) return Wrong(ErrnoName(answer.error()));
  return std::move(*answer);
}

}  // namespace

ByteList NsmDescribeRequest(uint32_t index) {
  return CborWriter().Map(1).Text("DescribePCR").Map(1).Text("index").Unsigned(index).bytes();
}

ByteList NsmExtendRequest(uint32_t index, std::span<const uint8_t> data) {
  CborWriter out;
  out.Map(1).Text("ExtendPCR").Map(2).Text("index").Unsigned(index).Text("data").Bytes(data);
  return out.bytes();
}

ByteList NsmLockRequest(uint32_t index) {
  return CborWriter().Map(1).Text("LockPCR").Map(1).Text("index").Unsigned(index).bytes();
}

ByteList NsmAttestationRequest(const NsmAttestation& fields) {
  CborWriter out;
  out.Map(1).Text("Attestation").Map(3);
  PutOptional(out, "user_data", fields.user_data);
  PutOptional(out, "nonce", fields.nonce);
  PutOptional(out, "public_key", fields.public_key);
  return out.bytes();
}

ByteList NsmRandomRequest() { return CborWriter().Text("GetRandom").bytes(); }

NsmResult<NsmRegister> ReadNsmRegister(Answer answer) {
  CborReader in(answer);
  const auto pairs = Enter(in, "DescribePCR");
  if (!pairs) return Wrong(pairs.error());
  std::optional<Digest> value;
  std::optional<bool> locked;
  // The order of a map's pairs is not promised.
  for (uint64_t i = 0; i < *pairs && *pairs == 2; ++i) {
    const auto key = in.TakeText();
    if (key == "data" && !value) {
      value = TakeDigest(in);
    } else if (key == "lock" && !locked) {
      locked = in.TakeBoolean();
    }
  }
  if (!value || !locked || !in.AtEnd()) return Wrong("an answer of another form");
  return NsmRegister{*value, *locked};
}

NsmResult<Digest> ReadNsmExtended(Answer answer) {
  const auto bytes = ReadOnlyField(answer, "ExtendPCR", "data");
  if (!bytes) return Wrong(bytes.error());
  if (bytes->size() != sizeof(Digest)) return Wrong("an answer of another form");
  Digest digest{};
  std::ranges::copy(*bytes, digest.begin());
  return digest;
}

NsmResult<void> ReadNsmLocked(Answer answer) {
  CborReader in(answer);
  if (in.Peek() == CborType::kText) {
    if (in.TakeText() == "LockPCR" && in.AtEnd()) return {};
    return Wrong("an answer to another question");
  }
  const auto pairs = Enter(in, "LockPCR");
  return Wrong(pairs ? "an answer of another form" : pairs.error());
}

NsmResult<ByteList> ReadNsmDocument(Answer answer) {
  const auto bytes = ReadOnlyField(answer, "Attestation", "document");
  if (!bytes) return Wrong(bytes.error());
  if (bytes->empty()) return Wrong("an empty document");
  return ByteList(bytes->begin(), bytes->end());
}

NsmResult<ByteList> ReadNsmRandom(Answer answer) {
  const auto bytes = ReadOnlyField(answer, "GetRandom", "random");
  if (!bytes) return Wrong(bytes.error());
  if (bytes->empty()) return Wrong("no random bytes");
  return ByteList(bytes->begin(), bytes->end());
}

NsmResult<NsmRegister> DescribeNsmRegister(DeviceDoor& door, const std::string& path,
                                           uint32_t index) {
  return Ask(door, path, NsmDescribeRequest(index)).and_then([](const ByteList& answer) {
    return ReadNsmRegister(answer);
  });
}

NsmResult<Digest> ExtendNsmRegister(DeviceDoor& door, const std::string& path, uint32_t index,
                                    std::span<const uint8_t> data) {
  return Ask(door, path, NsmExtendRequest(index, data)).and_then([](const ByteList& answer) {
    return ReadNsmExtended(answer);
  });
}

NsmResult<void> LockNsmRegister(DeviceDoor& door, const std::string& path, uint32_t index) {
  return Ask(door, path, NsmLockRequest(index)).and_then([](const ByteList& answer) {
    return ReadNsmLocked(answer);
  });
}

NsmResult<ByteList> AskNsmDocument(DeviceDoor& door, const std::string& path,
                                   const NsmAttestation& fields) {
  return Ask(door, path, NsmAttestationRequest(fields)).and_then([](const ByteList& answer) {
    return ReadNsmDocument(answer);
  });
}

NsmResult<ByteList> AskNsmRandom(DeviceDoor& door, const std::string& path) {
  return Ask(door, path, NsmRandomRequest()).and_then([](const ByteList& answer) {
    return ReadNsmRandom(answer);
  });
}

}  // namespace bulkhead
