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
  // The same of the call that the kernel sees: a signed argument may also come sign-extended. A
  // value that is excluded is so in either form.
  bool AllowsAsRead(const SeccompData& data, Arch arch) const;
};

OciReading ReadOci(std::string_view text, const OciHost& host = {});

// Calls at and beside what the rules compare with; no register has bits above its argument.
std::vector<SeccompData> CallsNear(const OciReading& reading, Arch arch);

}  // namespace bulkhead::testing
