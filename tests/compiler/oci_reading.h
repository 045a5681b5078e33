// SPDX-License-Identifier: Apache-2.0
// An OCI seccomp profile read slowly, straight from the JSON, as runc and Docker read it: what an
// import and an export are compared with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "profiles/arch.h"
#include "tests/compiler/libseccomp.h"

namespace bulkhead::testing {

struct OciHost {
  Arch arch = Arch::kX86_64;
  std::vector<std::string> caps;
  std::pair<int, int> kernel = {6, 18};
};

struct OciReading {
  uint32_t default_action = 0;     // SECCOMP_RET_*
  std::vector<SeccompRule> rules;  // as a runtime gives them to libseccomp
  // What the rules say of the call, comparing whole registers. Where some allow it and others
  // don't, it is refused.
  bool Allows(const SeccompData& data) const;
  // Its action where rules with other actions than these do not meet.
  uint32_t Action(const SeccompData& data) const;
};

OciReading ReadOci(std::string_view text, const OciHost& host = {});

// Calls at and beside what the rules compare with; registers as a C library fills them.
std::vector<SeccompData> CallsNear(const OciReading& reading, Arch arch);

}  // namespace bulkhead::testing
