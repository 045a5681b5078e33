// SPDX-License-Identifier: Apache-2.0
// Whom `learn` observes: a program of the command line, or a component of a policy. One thread.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "cli/command_line.h"
#include "cli/learn_policy.h"
#include "policy/policy.h"

namespace bulkhead {

// An exit code after an error, which has been printed.
tl::expected<LearnSubject, int> SubjectOfCommand(const Invocation& invocation);

LearnSubject SubjectOfComponent(const ComponentPolicy& component, const ProfileData& profile,
                                const std::string& target);

}  // namespace bulkhead
