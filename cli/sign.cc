// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/inputs.h"
#include "engine/bundle_signature.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* value) const {
    Free(value);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Memory = std::unique_ptr<BIO, Deleter<BIO_free>>;

Key ReadKey(const std::vector<uint8_t>& pem) {
  const Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // No question after a passphrase: a key that has one is none here.
  const auto none = [](char*, int, int, void*) { return -1; };
  Key key(PEM_read_bio_PrivateKey(memory.get(), nullptr, none, nullptr));
  return key && EVP_PKEY_get_id(key.get()) == EVP_PKEY_ED25519 ? std::move(key) : nullptr;
}

std::optional<BundleSignature> Sign(EVP_PKEY* key, const Digest& digest) {
  const std::vector<uint8_t> message = SignedMessage(digest);
  const Context context(EVP_MD_CTX_new());
  BundleSignature signature{};
  size_t size = signature.size();
  const bool good =
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1;
  return good && size == signature.size() ? std::optional(signature) : std::nullopt;
}

int Cannot(const std::string& what, const std::string& help = {}) {
  PrintError(what, help);
  return kExitCannot;
}

}  // namespace

int SignBundle(const Invocation& invocation) {
  const std::string path = invocation.One(Parameter::kBundle);
  const auto opened = OpenBundle(path);
  if (!opened) return opened.error();
  const std::string key_path = invocation.One(Parameter::kSigningKey);
  const auto pem = ReadFile(key_path, 65536);
  if (!pem) return Cannot(fmt::format("cannot read {}: {}", Quoted(key_path), pem.error()));
  const Key key = ReadKey(*pem);
  if (!key) {
    return Cannot(fmt::format("{} is no Ed25519 private key in PEM", Quoted(key_path)),
                  "`openssl genpkey -algorithm ed25519` makes one");
  }
  const auto signature = Sign(key.get(), opened->digest);
  BundleKey public_key{};
  size_t size = public_key.size();
  if (!signature || EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) != 1) {
    return Cannot("the signature can't be made");
  }
  const std::string text = Hex(*signature) + "\n";
  const std::string file = path + std::string(kSignatureSuffix);
  const auto written =
      WriteAtomically(file, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  if (!written) return Cannot(fmt::format("cannot write {}: {}", Quoted(file), written.error()));
  return PrintOut(fmt::format("wrote {}, signed by\n{}\n", file, Hex(public_key))) ? kExitDone
                                                                                   : kExitCannot;
}

}  // namespace bulkhead
