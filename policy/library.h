// SPDX-License-Identifier: Apache-2.0
// Where profiles and groups come from: the shipped library, the files of `use`, the policy itself.
// Reads files; nothing else in policy/ but load.cc does.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "policy/diagnostics.h"
#include "policy/node.h"
#include "policy/vars.h"
#include "profiles/bundle.h"

namespace bulkhead {

struct Library {  // by name; the entry's key_place is the definition's place
  std::map<std::string, Entry> profiles;
  std::map<std::string, Entry> groups;
};

inline constexpr size_t kMaxUseDepth = 4;

// The content of a regular file of at most kMaxFileSize bytes; the error says what is wrong.
tl::expected<std::string, std::string> ReadPolicyBytes(const std::string& path);

// The files of profiles/library.
void AddShippedLibrary(Library& library, Sources& sources, Diagnostics& diagnostics);

// The definitions of a checked policy or library tree.
void AddDefinitions(const Node& root, Library& library, const Sources& sources,
                    Diagnostics& diagnostics);

// The files of the tree's `use`, and theirs. Returns their digests, sorted by name, each file
// once; names are relative to `directory`, so they are the same on every machine.
std::vector<NamedDigest> AddUsedFiles(const Node& root, const std::string& directory,
                                      const Variables& variables, Library& library,
                                      Sources& sources, Diagnostics& diagnostics);

}  // namespace bulkhead
