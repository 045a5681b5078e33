// SPDX-License-Identifier: Apache-2.0
// Whole files in and out. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace bulkhead {

// At most `limit` bytes; the error says why not, in words for people.
tl::expected<std::vector<uint8_t>, std::string> ReadFile(const std::string& path, size_t limit);

// The path holds the old bytes or the new ones, whatever happens in between: a new file with mode
// 0644 in the same directory takes its place.
tl::expected<void, std::string> WriteAtomically(const std::string& path,
                                                std::span<const uint8_t> bytes);

// A file without a name, which nobody can change any more; the descriptor stays open across exec.
tl::expected<int, std::string> SealedCopy(const std::string& name, std::span<const uint8_t> bytes);

}  // namespace bulkhead
