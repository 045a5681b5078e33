// SPDX-License-Identifier: Apache-2.0
#include "profiles/attestation.h"

#include <algorithm>
#include <vector>

namespace bulkhead {
namespace {

void AppendSized(std::vector<uint8_t>& out, std::span<const uint8_t> bytes) {
  const auto size = static_cast<uint32_t>(bytes.size());
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<uint8_t>(size >> shift));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

Digest Extended(const Digest& old, std::span<const uint8_t> data) {
  std::vector<uint8_t> joined(old.begin(), old.end());
  joined.insert(joined.end(), data.begin(), data.end());
  return Sha384(joined);
}

Digest PolicyRegister(const Digest& bundle) { return Extended({}, bundle); }

Digest BoundUserData(std::string_view component, const Digest& bundle,
                     std::span<const uint8_t> bytes) {
  constexpr std::string_view kLabel{"bulkhead attest v1\0", 19};
  std::vector<uint8_t> joined(kLabel.begin(), kLabel.end());
  AppendSized(joined, Bytes(component));
  joined.insert(joined.end(), bundle.begin(), bundle.end());
  AppendSized(joined, bytes);
  return Sha384(joined);
}

Digest AuditKeyUserData(const Digest& bundle, std::span<const uint8_t> key) {
  constexpr std::string_view kLabel{"bulkhead audit key v1\0", 22};
  std::vector<uint8_t> joined(kLabel.begin(), kLabel.end());
  joined.insert(joined.end(), bundle.begin(), bundle.end());
  joined.insert(joined.end(), key.begin(), key.end());
  return Sha384(joined);
}

std::array<uint8_t, 64> ReportData(const Digest& user_data) {
  std::array<uint8_t, 64> data{};
  std::ranges::copy(user_data, data.begin());
  return data;
}

}  // namespace bulkhead
