// SPDX-License-Identifier: Apache-2.0
// uids and gids derived from names: stable across boots, edits and machines. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace bulkhead {

inline constexpr uint32_t kFirstComponentId = 0x10000000;  // + 28 bits: uid and gid of a component
inline constexpr uint32_t kFirstEdgeId = 0x20000000;       // + 28 bits: gid of a unix edge

// The first 28 bits of SHA-384("bulkhead uid v1\0" || enclave || "\0" || component).
uint32_t ComponentId(std::string_view enclave, std::string_view component);
// The same over "bulkhead edge v1\0" and the edge's directory.
uint32_t EdgeId(std::string_view enclave, std::string_view directory);

}  // namespace bulkhead
