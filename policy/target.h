// SPDX-License-Identifier: Apache-2.0
// Target files: what an enclave's kernel offers, as a TargetSpec.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "policy/diagnostics.h"
#include "policy/policy.h"

namespace bulkhead {

// Reads the target that the policy names: a shipped one, or the file at that path, relative to
// `directory`. nullopt, with errors, when there is none or it is not in order.
std::optional<TargetSpec> LoadTarget(const Text& target, const std::string& directory,
                                     Sources& sources, Diagnostics& diagnostics);

// Where a target that doesn't say otherwise has its attestation devices.
std::map<std::string, std::string> DefaultDevices();

// One target file. `name` is for messages; the file's text is added to `sources`.
std::optional<TargetSpec> ReadTarget(std::string name, std::string text, Sources& sources,
                                     Diagnostics& diagnostics);

}  // namespace bulkhead
