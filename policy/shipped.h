// SPDX-License-Identifier: Apache-2.0
// The profiles and targets that are part of the tool: the files of profiles/library and
// profiles/targets, embedded at build time (scripts/embed.cmake) so that a policy compiles to the
// same bytes from any folder and on any machine.
#pragma once

#include <span>
#include <string_view>

namespace bulkhead {

struct ShippedFile {
  std::string_view name;     // "library/groups.yaml", "targets/debian-12.yaml"
  std::string_view content;  // YAML text
};

// Sorted by name. Thread-safe; the views live as long as the program.
std::span<const ShippedFile> ShippedFiles();

}  // namespace bulkhead
