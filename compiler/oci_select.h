// SPDX-License-Identifier: Apache-2.0
// Which rules of an OCI profile are for this target, and what else of the profile is left behind.
// Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "compiler/oci_import.h"
#include "compiler/oci_profile.h"
#include "profiles/features.h"

namespace bulkhead {

// Losses with one place and reason are one, which names them all.
class LossList {
 public:
  void Add(const Place& place, std::string what, std::string why);
  // The names are of one rule, whose place is `rule`.
  void AddName(const Place& rule, const OciName& name, std::string why);
  std::vector<Loss> Take();

 private:
  struct Group {
    Place rule;
    std::string why;
    Place first;
    std::vector<std::string> names;
  };
  std::vector<Group> groups_;
};

// The rules that Docker would take on the target with these capabilities.
std::vector<const OciRule*> SelectRules(const OciProfile& profile, const Target& target,
                                        const std::vector<std::string>& caps, LossList& losses);

// Architectures, flags and listeners.
void ListSettings(const OciProfile& profile, Arch arch, LossList& losses);

}  // namespace bulkhead
