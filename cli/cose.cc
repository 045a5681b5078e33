// SPDX-License-Identifier: Apache-2.0
#include "cli/cose.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "engine/cbor.h"

namespace bulkhead {
namespace {

using Bytes = std::span<const uint8_t>;
using Problem = std::optional<std::string>;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* value) const {
    Free(value);
  }
};
void FreeAll(STACK_OF(X509) * list) { sk_X509_pop_free(list, X509_free); }
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Certificates = std::unique_ptr<STACK_OF(X509), Deleter<FreeAll>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;
using Context = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Memory = std::unique_ptr<BIO, Deleter<BIO_free>>;

constexpr size_t kMaxChain = 8;
constexpr uint64_t kEs384 = 34;  // -1 - 34, alg -35 of RFC 9053
constexpr size_t kHalf = 48;     // of r and of s

struct Envelope {
  Bytes header, payload, signature;
};

std::optional<Envelope> ReadEnvelope(Bytes document) {
  CborReader in(document);
  if (in.Peek() == CborType::kTag && in.TakeTag() != 18) return std::nullopt;
  if (in.TakeArray() != 4) return std::nullopt;
  const auto header = in.TakeBytes();
  if (!header || in.Peek() != CborType::kMap || !in.Skip()) return std::nullopt;
  const auto payload = in.TakeBytes();
  const auto signature = payload ? in.TakeBytes() : std::nullopt;
  if (!signature || !in.AtEnd()) return std::nullopt;
  // {1: -35} and nothing else: no other algorithm can be asked for.
  CborReader protected_map(*header);
  if (protected_map.TakeMap() != 1 || protected_map.TakeUnsigned() != 1 ||
      protected_map.TakeNegative() != kEs384 || !protected_map.AtEnd()) {
    return std::nullopt;
  }
  return Envelope{*header, *payload, *signature};
}

// What a document always has; the user's three fields may be left out (AWS's description of it).
constexpr std::string_view kNeeded[] = {"module_id", "digest",      "timestamp",
                                        "pcrs",      "certificate", "cabundle"};

struct Payload {
  NitroDocument document;
  Bytes certificate;
  std::vector<Bytes> bundle;
};

bool TakePcrs(CborReader& in, std::map<uint64_t, Digest>& pcrs) {
  const auto pairs = in.TakeMap();
  if (!pairs || *pairs > 32) return false;
  for (uint64_t i = 0; i < *pairs; ++i) {
    const auto index = in.TakeUnsigned();
    const auto value = index ? in.TakeBytes() : std::nullopt;
    if (!value || value->size() != sizeof(Digest)) return false;
    Digest digest{};
    std::ranges::copy(*value, digest.begin());
    if (!pcrs.emplace(*index, digest).second) return false;
  }
  return true;
}

bool TakeOptional(CborReader& in, std::vector<uint8_t>& field) {
  if (in.TakeNull()) return true;
  const auto bytes = in.TakeBytes();
  if (bytes) field.assign(bytes->begin(), bytes->end());
  return bytes.has_value();
}

bool TakeBundle(CborReader& in, std::vector<Bytes>& bundle) {
  const auto count = in.TakeArray();
  if (!count || *count > kMaxChain) return false;
  for (uint64_t i = 0; i < *count; ++i) {
    const auto bytes = in.TakeBytes();
    if (!bytes) return false;
    bundle.push_back(*bytes);
  }
  return true;
}

bool TakeField(CborReader& in, std::string_view key, Payload& out) {
  NitroDocument& document = out.document;
  if (key == "pcrs") return document.pcrs.empty() && TakePcrs(in, document.pcrs);
  if (key == "cabundle") return out.bundle.empty() && TakeBundle(in, out.bundle);
  if (key == "user_data") return TakeOptional(in, document.user_data);
  if (key == "nonce") return TakeOptional(in, document.nonce);
  if (key == "public_key") return TakeOptional(in, document.public_key);
  if (key == "digest") return in.TakeText() == "SHA384";
  if (key == "module_id") {
    const auto text = in.TakeText();
    if (text) document.module_id = *text;
    return text.has_value();
  }
  if (key == "timestamp") {
    const auto time = in.TakeUnsigned();
    document.timestamp = time.value_or(0);
    return time.has_value();
  }
  if (key == "certificate") {
    const auto bytes = in.TakeBytes();
    out.certificate = bytes.value_or(Bytes());
    return bytes.has_value();
  }
  return in.Skip();
}

std::optional<Payload> ReadPayload(Bytes bytes) {
  CborReader in(bytes);
  const auto pairs = in.TakeMap();
  if (!pairs || *pairs > 32) return std::nullopt;
  Payload out;
  std::vector<std::string_view> seen;
  for (uint64_t i = 0; i < *pairs; ++i) {
    const auto key = in.TakeText();
    // A field that stands there twice could be read as either.
    if (!key || std::ranges::find(seen, *key) != seen.end()) return std::nullopt;
    seen.push_back(*key);
    if (!TakeField(in, *key, out)) return std::nullopt;
  }
  const bool whole = std::ranges::all_of(kNeeded, [&](std::string_view field) {
    return std::ranges::find(seen, field) != seen.end();
  });
  if (!in.AtEnd() || !whole || out.certificate.empty()) return std::nullopt;
  return out;
}

Certificate FromDer(Bytes der) {
  const unsigned char* at = der.data();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate && at != der.data() + der.size()) return nullptr;
  return certificate;
}

Certificate FromPem(const std::string& pem) {
  const Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
}

Problem ChainProblem(const Payload& payload, X509* leaf, const std::string& root, int64_t now) {
  const Certificate trusted = FromPem(root);
  if (!trusted) return "the root is no certificate in PEM";
  const Certificates between(sk_X509_new_null());
  for (const Bytes der : payload.bundle) {
    Certificate one = FromDer(der);
    if (!one || sk_X509_push(between.get(), one.get()) == 0) return "a certificate is none";
    [[maybe_unused]] const X509* owned = one.release();
  }
  const Store store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), trusted.get());
  const StoreContext context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf, between.get()) != 1) {
    return "the chain can't be checked";
  }
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, now);
  X509_VERIFY_PARAM_set_depth(parameters, static_cast<int>(kMaxChain));
  if (X509_verify_cert(context.get()) == 1) return std::nullopt;
  return std::string("the certificate chain does not lead to the root: ") +
         X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

// An authority of the chain vouches for modules and is none itself.
Problem LeafProblem(X509* leaf) {
  if (X509_check_ca(leaf) != 0) return "the document's certificate is an authority's";
  if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0) {
    return "the document's certificate is not one to sign with";
  }
  return std::nullopt;
}

Problem SignatureProblem(const Envelope& envelope, X509* leaf) {
  const std::string wrong = "the signature is not by the document's certificate";
  EVP_PKEY* const key = X509_get0_pubkey(leaf);
  char group[32] = {};
  size_t size = 0;
  if (key == nullptr || EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1 ||
      std::string_view(group) != "secp384r1") {
    return "the certificate's key is not one of P-384";
  }
  if (envelope.signature.size() != 2 * kHalf) return wrong;
  const Signature pair(ECDSA_SIG_new());
  BIGNUM* const r = BN_bin2bn(envelope.signature.data(), kHalf, nullptr);
  BIGNUM* const s = BN_bin2bn(envelope.signature.data() + kHalf, kHalf, nullptr);
  if (r == nullptr || s == nullptr || ECDSA_SIG_set0(pair.get(), r, s) != 1) return wrong;
  std::vector<unsigned char> der(static_cast<size_t>(i2d_ECDSA_SIG(pair.get(), nullptr)));
  unsigned char* out = der.data();
  i2d_ECDSA_SIG(pair.get(), &out);
  CborWriter message;
  message.Array(4).Text("Signature1").Bytes(envelope.header).Bytes({}).Bytes(envelope.payload);
  const Context context(EVP_MD_CTX_new());
  const bool good = EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha384(), nullptr, key) == 1 &&
                    EVP_DigestVerify(context.get(), der.data(), der.size(), message.bytes().data(),
                                     message.bytes().size()) == 1;
  if (good) return std::nullopt;
  return wrong;
}

}  // namespace

bool IsPemCertificate(const std::string& text) { return FromPem(text) != nullptr; }

tl::expected<NitroDocument, std::string> CheckNitroDocument(Bytes document, const std::string& root,
                                                            int64_t now) {
  const auto envelope = ReadEnvelope(document);
  if (!envelope) return tl::make_unexpected("not a COSE_Sign1 document with ES384");
  const auto payload = ReadPayload(envelope->payload);
  if (!payload) return tl::make_unexpected("its payload is not that of an attestation document");
  const Certificate leaf = FromDer(payload->certificate);
  if (!leaf) return tl::make_unexpected("its certificate is none");
  if (auto problem = ChainProblem(*payload, leaf.get(), root, now)) {
    return tl::make_unexpected(*problem);
  }
  if (auto problem = LeafProblem(leaf.get())) return tl::make_unexpected(*problem);
  if (auto problem = SignatureProblem(*envelope, leaf.get())) return tl::make_unexpected(*problem);
  return payload->document;
}

}  // namespace bulkhead
