// SPDX-License-Identifier: Apache-2.0
// How an answer is made: a question is an action that can be tried in several ways, each by some
// system calls on something that further controls look at. The best way decides. Internal to
// compiler/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/ask.h"

namespace bulkhead {

// One way to do it: all its calls pass, and all controls allow.
struct Attempt {
  std::vector<CallForm> calls;
  std::vector<ControlVerdict> controls;  // but that of the calls
  size_t decided_at = 0;                 // the index in `calls` at which `controls` are asked
};

struct Asked {
  const BundleData& enclave;
  const ProfileData& profile;
  const Question& question;
  const AllowedSets& allowed;  // by the profile's filter
  const AllowedSets* startup;  // until it is ready; null: no more
  CallSets& sets;
  const UnenforcedRows& unenforced;
  std::string note;  // of the answer

  std::string Id(std::string_view statement) const {
    return "components." + profile.name + "." + std::string(statement);
  }
  bool LogsLandlock() const { return profile.landlock.log; }
};

using Attempts = std::vector<Attempt>;
using Asking = tl::expected<Attempts, std::string>;

Attempts AttemptFile(Asked& asked);
Asking AttemptNetwork(Asked& asked);
Asking AttemptPeer(Asked& asked);
Attempts AttemptAttestation(Asked& asked);

// What the filter makes of the calls; those that pass, or the one that doesn't, are added to
// `calls`.
ControlVerdict FilterVerdict(const Asked& asked, const std::vector<CallForm>& forms,
                             std::vector<SeccompData>& calls);
// The answer on one system call, of which all registers, some or none were given.
Explanation AnswerCall(Asked& asked);

Verdict Worst(const std::vector<ControlVerdict>& controls);

// Of several ways the one that comes furthest.
Explanation Best(Asked& asked, const Attempts& attempts);

}  // namespace bulkhead
