// SPDX-License-Identifier: Apache-2.0
// A Nitro security module as the public sources describe it: 32 registers, 0 to 15 locked from the
// start, exact errors, and documents that hold locked registers only, signed (COSE_Sign1, ES384) by
// a certificate of a test CA of its own. Single-threaded.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "profiles/digest.h"

namespace bulkhead::test {

class FakeNsm {
 public:
  FakeNsm();
  ~FakeNsm();
  FakeNsm(const FakeNsm&) = delete;
  FakeNsm& operator=(const FakeNsm&) = delete;

  // The answer to one request, cut off silently at `most`.
  std::vector<uint8_t> Answer(std::span<const uint8_t> request, size_t most);
  std::string RootPem() const;

  struct Register {
    Digest value{};
    bool locked = false;
  };
  std::array<Register, 32> registers{};
  std::string left_out;              // a field that its documents lack
  bool signed_by_authority = false;  // its documents, instead of by the module's certificate

 private:
  struct Authority;
  std::vector<uint8_t> Document(std::span<const uint8_t> user_data, std::span<const uint8_t> nonce,
                                std::span<const uint8_t> public_key) const;
  std::unique_ptr<Authority> authority_;
};

}  // namespace bulkhead::test
