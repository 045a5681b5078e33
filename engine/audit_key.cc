// SPDX-License-Identifier: Apache-2.0
#include "engine/audit_key.h"

#include <gmp.h>
#include <nettle/eddsa.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace bulkhead {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSecretSize = ED25519_KEY_SIZE;
static_assert(std::tuple_size_v<PublicKey> == ED25519_KEY_SIZE);
static_assert(std::tuple_size_v<Signature> == ED25519_SIGNATURE_SIZE);

// More than signing uses: an expanded key, a state of SHA-512 and numbers of four words.
constexpr size_t kStackOfSigning = 16384;

[[gnu::noinline]] void WipeStackBelow() {
  uint8_t below[kStackOfSigning];
  explicit_bzero(below, sizeof below);
}

void FreeWiped(void* block, size_t size) {
  explicit_bzero(block, size);
  free(block);
}

// While it lives, numbers that nettle has done with are overwritten: it keeps the expanded key in
// memory of gmp's.
class WipedNumbers {
 public:
  WipedNumbers() {
    mp_get_memory_functions(nullptr, nullptr, &before_);
    mp_set_memory_functions(nullptr, nullptr, FreeWiped);
  }
  WipedNumbers(const WipedNumbers&) = delete;
  WipedNumbers& operator=(const WipedNumbers&) = delete;
  ~WipedNumbers() {
    mp_set_memory_functions(nullptr, nullptr, before_);
    WipeStackBelow();
  }

 private:
  void (*before_)(void*, size_t) = nullptr;
};

tl::unexpected<KeyError> Failure(const char* step) { return tl::unexpected(KeyError{step, errno}); }

// 0 or the step that failed, with errno.
const char* Guard(uint8_t* page) {
  if (mlock(page, kPage) != 0) return "mlock";
  if (madvise(page, kPage, MADV_DONTDUMP) != 0) return "madvise";
  if (madvise(page, kPage, MADV_WIPEONFORK) != 0) return "madvise";
  ssize_t got = -1;
  do {
    got = getrandom(page, kSecretSize, 0);
  } while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(kSecretSize) ? nullptr : "getrandom";
}

}  // namespace

tl::expected<AuditKey, KeyError> AuditKey::Make() {
  void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return Failure("mmap");
  AuditKey key(static_cast<uint8_t*>(page));
  if (const char* step = Guard(key.secret_)) return Failure(step);
  const WipedNumbers wiped;
  ed25519_sha512_public_key(key.public_.data(), key.secret_);
  return key;
}

AuditKey::AuditKey(AuditKey&& other) noexcept
    : secret_(std::exchange(other.secret_, nullptr)), public_(other.public_) {}

AuditKey::~AuditKey() {
  if (secret_ == nullptr) return;
  explicit_bzero(secret_, kPage);
  munmap(secret_, kPage);
}

Signature AuditKey::Sign(std::string_view message) const {
  Signature signature{};
  const WipedNumbers wiped;
  ed25519_sha512_sign(public_.data(), secret_, message.size(),
                      reinterpret_cast<const uint8_t*>(message.data()), signature.data());
  return signature;
}

}  // namespace bulkhead
