// SPDX-License-Identifier: Apache-2.0
// From the files that a component was seen to use to the statements that grant them. Looks at the
// machine's file system (owners, numbers of files in a directory), writes nothing. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/learn_observed.h"
#include "policy/policy.h"

namespace bulkhead {

struct FileGrant {
  Evidence evidence;
  std::string widened;     // what it grants besides what was seen; empty: nothing
  std::string interprets;  // of a program: a script that names it in its first line; empty: none
};

struct LearntFiles {
  std::map<std::pair<Verb, std::string>, FileGrant> grants;  // "@libraries" and "@loader", too
  std::vector<std::string> notes;  // seen and not granted, each with the reason
};

struct FilesContext {
  uint32_t uid = 0;
  std::string program;
  std::vector<std::string> libraries;  // the target's path sets
  std::vector<std::string> loader;
  std::set<std::string> edges;      // directories of sockets: a statement of `network` each
  std::vector<std::string> assets;  // files of those that it may not reach
};

LearntFiles LearnFiles(const std::map<std::string, SeenFile>& files, const FilesContext& context);

// Whether a name can stand in a policy as it is.
bool CanBeWritten(const std::string& path);

// Whether it is the user's, who alone writes it, and not too wide wherever its links lead.
bool IsOwnDirectory(const std::string& directory, uint32_t uid);

// What a statement about a directory would open far too much of: /, /etc, /usr/bin, /var/lib.
bool IsTooWide(const std::string& directory);

}  // namespace bulkhead
