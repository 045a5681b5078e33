// SPDX-License-Identifier: Apache-2.0
// Bundles changed field by field, whatever their bytes: lengths and counts stay right, so that what
// is wrong is left to the checks of what fields mean. The fields are those of profiles/codec.h, so
// a new one is changed without being named here. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::testing {

// One to four fields or lists of a bundle changed, in a frame with the right digest; nothing when
// the bytes are no bundle. The same seed gives the same change.
std::optional<std::string> ChangedBundle(std::string_view bytes, uint32_t seed);

}  // namespace bulkhead::testing
