// SPDX-License-Identifier: Apache-2.0
// Where a bundle is measured and who attests, as it stands in the bundle. The paths are the
// target's, so they are measured themselves. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead {

enum class RegisterKind : uint8_t {
  kNone,
  kNitro,  // PCR16 to 31 of the Nitro security module: can be locked
  kTdx,    // RTMR3: can't be locked, has an event log
  kTpm,    // a PCR of a TPM 2.0, SHA-384 bank: can't be locked, has an event log
};

// The bundle's platform. An empty path: not used.
struct Measure {
  RegisterKind kind = RegisterKind::kNone;
  uint32_t policy = 0;             // number of the register
  std::optional<uint32_t> events;  // of the register that takes what happens later
  std::string nsm;                 // character device
  std::string rtmr;                // directory of the kernel's register files
  std::string tdx;                 // character device of a TDX guest: its reports
  std::string tsm;                 // directory of the kernel's quotes
  std::string tpm;                 // character device
  std::string event_log;           // file
  bool operator==(const Measure&) const = default;

  // Where documents come from: nobody, the Nitro module, or TDX quotes.
  bool Attests() const { return !nsm.empty() || !tsm.empty(); }
};

// "pcr20", "rtmr3", "tpm-pcr14"
std::string RegisterName(RegisterKind kind, uint32_t number);

// A component's way to documents: a socket of its own to the supervisor.
struct Attestation {
  bool given = false;
  bool random = false;
  bool attest = false;
  bool public_key = false;  // may put one into a document
  uint32_t count = 0;       // requests in each window, of all kinds and all runs together
  uint32_t window_ms = 0;
  std::string rule;
  bool operator==(const Attestation&) const = default;
};

// The name of its descriptor in LISTEN_FDNAMES.
inline constexpr std::string_view kAttestationName = "attestation";

}  // namespace bulkhead
