// SPDX-License-Identifier: Apache-2.0
// What no answer of `why` hangs on and a review must still see: where the audit log goes, which
// register shows the bundle, what stands guard over assets, which programs are pinned. To lose one
// is to widen, to gain one to narrow; another in its place is neutral. A new place of components'
// output widens. Each text says both values.
// Pure, thread-safe; internal to compiler/.
#pragma once

#include <optional>
#include <vector>

#include "compiler/bundle_diff.h"
#include "profiles/bundle.h"

namespace bulkhead {

// Without a component. In the order of areas.
std::vector<Difference> DiffEnclaves(const BundleData& before, const BundleData& after);

// Of the same component.
std::optional<Difference> DiffPins(const ProfileData& before, const ProfileData& after);

}  // namespace bulkhead
