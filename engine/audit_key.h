// SPDX-License-Identifier: Apache-2.0
// The key that signs an audit log: Ed25519 (RFC 8032), made anew by each run of the supervisor from
// getrandom(2), which waits until the kernel's pool is ready. The secret half lives in a page of
// its own that is never swapped (mlock(2)), never dumped (MADV_DONTDUMP) and zero in every child
// (MADV_WIPEONFORK, Linux 4.14; madvise(2)): reapers and components are forked from the supervisor.
// What signing leaves on the heap and the stack is overwritten before Sign returns. A clone that
// shares memory (CLONE_VM) is no child in that sense: nothing of the kind may run foreign code.
//
// One owner, one thread. The destructor overwrites the secret.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>

namespace bulkhead {

using PublicKey = std::array<uint8_t, 32>;
using Signature = std::array<uint8_t, 64>;

struct KeyError {
  const char* step = "";  // "mmap", "mlock", "madvise", "getrandom"
  int error = 0;          // errno
};

class AuditKey {
 public:
  static tl::expected<AuditKey, KeyError> Make();
  AuditKey(AuditKey&& other) noexcept;
  AuditKey& operator=(AuditKey&&) = delete;
  ~AuditKey();

  const PublicKey& public_key() const { return public_; }
  Signature Sign(std::string_view message) const;

 private:
  explicit AuditKey(uint8_t* page) : secret_(page) {}
  uint8_t* secret_ = nullptr;  // a page, whose first 32 bytes are the secret half
  PublicKey public_{};
};

}  // namespace bulkhead
