// SPDX-License-Identifier: Apache-2.0
// The text of a learnt policy: one component, with the evidence behind each statement as comments.
// One thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "cli/learn_observed.h"
#include "compiler/compile.h"

namespace bulkhead {

struct LearnListener {  // `web=tcp:127.0.0.1:8080`, `ssh=unix:/run/edges/ssh/s`
  std::string name;
  std::string text;  // of the policy language, one item
  bool tcp = false;
  std::string path;  // of a unix socket
};

// What the person says of the component, learnt or not.
struct LearnSubject {
  std::string name;
  std::string target;
  std::vector<std::string> command;  // an absolute path first
  std::vector<std::pair<std::string, std::string>> environment;
  std::string directory;
  std::optional<uint32_t> user;
  std::vector<LearnListener> listeners;
  std::string sink;                 // of the audit log
  std::string waived_until;         // the last day of waivers that it needs, YYYY-MM-DD
  std::vector<std::string> assets;  // files of those that its policy does not give it
};

// The policy under which it is observed: no files but its program's, no calls.
std::string BarePolicy(const LearnSubject& subject);

// What compiles the text, for the answers of its filter.
using CompileText = std::function<tl::expected<Compilation, std::string>(const std::string&)>;

struct LearntPolicy {
  std::string text;
  size_t statements = 0;
  size_t notes = 0;  // seen and not granted
};
// Errors: the learnt policy does not compile, with why.
tl::expected<LearntPolicy, std::string> WriteLearnt(const LearnSubject& subject,
                                                    const Observed& observed,
                                                    const LoadedPolicy& bare, uint32_t uid,
                                                    const CompileText& compile);

// What every learnt policy begins with.
inline constexpr std::string_view kLearntBeginning = "# Learnt by `bulkhead learn` ";

}  // namespace bulkhead
