// SPDX-License-Identifier: Apache-2.0
#include "tests/platform/fake_nsm.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "engine/cbor.h"
#include "profiles/attestation.h"

namespace bulkhead::test {
namespace {

using Bytes = std::vector<uint8_t>;

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* value) const { Free(value); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;

void Must(bool good) {
  if (!good) std::abort();
}

Key NewKey() { return Key(EVP_EC_gen("P-384")); }

Certificate Issue(const char* name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                  long serial) {
  Certificate certificate(X509_new());
  X509* const x = certificate.get();
  Must(X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), serial) == 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 3L * 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(issuer == nullptr ? x : issuer));
  X509_set_pubkey(x, key);
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer == nullptr ? x : issuer, x, nullptr, nullptr, 0);
  const bool authority = issuer_key == nullptr || std::string_view(name).ends_with("CA");
  const std::pair<int, const char*> extensions[] = {
      {NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE"},
      {NID_key_usage, authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature"}};
  for (const auto& [kind, text] : extensions) {
    X509_EXTENSION* const one = X509V3_EXT_conf_nid(nullptr, &context, kind, text);
    Must(one != nullptr && X509_add_ext(x, one, -1) == 1);
    X509_EXTENSION_free(one);
  }
  Must(X509_sign(x, issuer_key == nullptr ? key : issuer_key, EVP_sha384()) > 0);
  return certificate;
}

Bytes Der(X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  Bytes bytes(static_cast<size_t>(size));
  unsigned char* out = bytes.data();
  i2d_X509(certificate, &out);
  return bytes;
}

// r and s, 48 bytes each, as COSE has them.
Bytes Sign(EVP_PKEY* key, const Bytes& message) {
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  size_t size = 0;
  Must(EVP_DigestSignInit(context, nullptr, EVP_sha384(), nullptr, key) == 1);
  Must(EVP_DigestSign(context, nullptr, &size, message.data(), message.size()) == 1);
  Bytes der(size);
  Must(EVP_DigestSign(context, der.data(), &size, message.data(), message.size()) == 1);
  EVP_MD_CTX_free(context);
  const unsigned char* at = der.data();
  ECDSA_SIG* const signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size));
  Bytes raw(96);
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw.data(), 48);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw.data() + 48, 48);
  ECDSA_SIG_free(signature);
  return raw;
}

Bytes Error(std::string_view name) { return CborWriter().Map(1).Text("Error").Text(name).bytes(); }

void PutOptional(CborWriter& out, std::string_view key, std::span<const uint8_t> bytes) {
  out.Text(key);
  if (bytes.empty()) {
    out.Null();
  } else {
    out.Bytes(bytes);
  }
}

// {"index": u, "data": bytes} in any order.
struct Fields {
  std::optional<uint64_t> index;
  std::optional<std::span<const uint8_t>> data, user_data, nonce, public_key;
};

bool TakeFields(CborReader& in, Fields& fields) {
  const auto pairs = in.TakeMap();
  if (!pairs || *pairs > 3) return false;
  for (uint64_t i = 0; i < *pairs; ++i) {
    const auto key = in.TakeText();
    if (key == "index" || key == "range") {
      fields.index = in.TakeUnsigned();
      continue;
    }
    std::optional<std::span<const uint8_t>>* field = key == "data"         ? &fields.data
                                                     : key == "user_data"  ? &fields.user_data
                                                     : key == "nonce"      ? &fields.nonce
                                                     : key == "public_key" ? &fields.public_key
                                                                           : nullptr;
    if (field == nullptr) return false;
    if (in.Peek() == CborType::kSimple) {
      if (!in.TakeNull()) return false;
    } else if (!(*field = in.TakeBytes())) {
      return false;
    }
  }
  return in.AtEnd();
}

}  // namespace

struct FakeNsm::Authority {
  Key root_key = NewKey(), middle_key = NewKey(), leaf_key = NewKey();
  Certificate root = Issue("test root CA", root_key.get(), nullptr, nullptr, 1);
  Certificate middle = Issue("test zonal CA", middle_key.get(), root.get(), root_key.get(), 2);
  Certificate leaf = Issue("i-test-enc1234", leaf_key.get(), middle.get(), middle_key.get(), 3);
};

FakeNsm::FakeNsm() : authority_(std::make_unique<Authority>()) {
  for (size_t i = 0; i < 16; ++i) registers[i].locked = true;
  // Of the image; all zero they would be those of debug mode.
  for (uint8_t i = 0; i < 3; ++i) registers[i].value.fill(static_cast<uint8_t>(0xa0 + i));
}
FakeNsm::~FakeNsm() = default;

std::string FakeNsm::RootPem() const {
  BIO* const memory = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(memory, authority_->root.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(memory);
  return text;
}

Bytes FakeNsm::Document(std::span<const uint8_t> user_data, std::span<const uint8_t> nonce,
                        std::span<const uint8_t> public_key) const {
  CborWriter payload;
  payload.Map(left_out.empty() ? 9 : 8);
  const auto has = [&](std::string_view field) { return field != left_out; };
  if (has("module_id")) payload.Text("module_id").Text("i-test-enc1234");
  if (has("digest")) payload.Text("digest").Text("SHA384");
  if (has("timestamp")) payload.Text("timestamp").Unsigned(1764500000000ULL);
  if (has("pcrs")) {
    payload.Text("pcrs").Map(static_cast<uint64_t>(
        std::ranges::count_if(registers, [](const Register& r) { return r.locked; })));
    for (size_t i = 0; i < registers.size(); ++i) {
      if (registers[i].locked) payload.Unsigned(i).Bytes(registers[i].value);
    }
  }
  const auto& signer = signed_by_authority ? authority_->middle : authority_->leaf;
  if (has("certificate")) payload.Text("certificate").Bytes(Der(signer.get()));
  if (has("cabundle")) {
    payload.Text("cabundle").Array(2).Bytes(Der(authority_->root.get()));
    payload.Bytes(Der(authority_->middle.get()));
  }
  if (has("public_key")) PutOptional(payload, "public_key", public_key);
  if (has("user_data")) PutOptional(payload, "user_data", user_data);
  if (has("nonce")) PutOptional(payload, "nonce", nonce);
  CborWriter header;
  header.Map(1).Unsigned(1).Negative(34);  // alg: ES384, -35
  CborWriter to_sign;
  to_sign.Array(4).Text("Signature1").Bytes(header.bytes()).Bytes({}).Bytes(payload.bytes());
  CborWriter document;
  document.Array(4).Bytes(header.bytes()).Map(0).Bytes(payload.bytes());
  const auto& key = signed_by_authority ? authority_->middle_key : authority_->leaf_key;
  document.Bytes(Sign(key.get(), to_sign.bytes()));
  return document.bytes();
}

Bytes FakeNsm::Answer(std::span<const uint8_t> request, size_t most) {
  const auto cut = [&](Bytes answer) {
    answer.resize(std::min(answer.size(), most));
    return answer;
  };
  CborReader in(request);
  if (in.Peek() == CborType::kText) {
    const auto name = in.TakeText();
    if (name != "GetRandom" || !in.AtEnd()) return cut(Error("InvalidOperation"));
    Bytes random(256);
    for (uint8_t& byte : random) byte = static_cast<uint8_t>(std::rand());
    return cut(CborWriter().Map(1).Text("GetRandom").Map(1).Text("random").Bytes(random).bytes());
  }
  const auto outer = in.TakeMap();
  const auto name = outer == 1 ? in.TakeText() : std::nullopt;
  Fields fields;
  if (!name || !TakeFields(in, fields)) return cut(Error("InvalidOperation"));
  if (name == "Attestation") {
    const auto part = [](const auto& field) { return field.value_or(std::span<const uint8_t>()); };
    if (part(fields.user_data).size() > 512 || part(fields.nonce).size() > 512 ||
        part(fields.public_key).size() > 1024) {
      return cut(Error("InputTooLarge"));
    }
    const Bytes document =
        Document(part(fields.user_data), part(fields.nonce), part(fields.public_key));
    CborWriter out;
    out.Map(1).Text("Attestation").Map(1).Text("document").Bytes(document);
    return cut(out.bytes());
  }
  if (!fields.index) return cut(Error("InvalidArgument"));
  if (*fields.index >= registers.size()) return cut(Error("InvalidIndex"));
  Register& reg = registers[*fields.index];
  CborWriter out;
  if (name == "DescribePCR") {
    // In the other order than people write it.
    out.Map(1).Text("DescribePCR").Map(2).Text("lock").Boolean(reg.locked);
    return cut(out.Text("data").Bytes(reg.value).bytes());
  }
  if (reg.locked) return cut(Error("ReadOnlyIndex"));
  if (name == "ExtendPCR" && fields.data) {
    reg.value = Extended(reg.value, *fields.data);
    return cut(out.Map(1).Text("ExtendPCR").Map(1).Text("data").Bytes(reg.value).bytes());
  }
  if (name == "LockPCR") {
    reg.locked = true;
    return cut(out.Text("LockPCR").bytes());
  }
  return cut(Error("InvalidOperation"));
}

}  // namespace bulkhead::test
