// SPDX-License-Identifier: Apache-2.0
// Enclaves of any size for the measurements: every component has paths, edges and a program of its
// own, and shipped profiles; two in five have argument tests that no other one has.
#pragma once

#include <cstddef>
#include <string>

namespace bulkhead::bench {

// The policy of `components` components for the target linux-6.18. The same number gives the same
// text.
std::string EnclaveText(size_t components);

}  // namespace bulkhead::bench
