// SPDX-License-Identifier: Apache-2.0
// A bundle whose components run the attack suite instead of their programs. Confinement stays as it
// is compiled: same filters, rights, views, identities and limits; a view gains the suite's program
// and one file that it may read. Pure.
#pragma once

#include <map>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "profiles/bundle.h"

namespace bulkhead {

struct ProbeFiles {
  std::string program;  // absolute: static, may be executed by anybody
  std::string granted;  // a file that anybody may read
  std::string audit;    // where the log goes
};

// What the suite's program is told, by component. Components that are not in it leave at once:
// their program is told to do nothing.
using ProbeWords = std::map<std::string, std::vector<std::string>>;

// A directory in which the component may write and which ends with it; or one that isn't there.
std::string WritableDirectory(const ProfileData& profile);

// The program's words stand behind its path. What has to do with when components start, end and
// come back is left out, system calls that are allowed at the start alone, too: what is tried is a
// component that is ready. Errors: the bundle has something at the files' paths.
tl::expected<Bundle, std::string> ProbeBundle(const Bundle& bundle, const ProbeFiles& files,
                                              const ProbeWords& words);

}  // namespace bulkhead
