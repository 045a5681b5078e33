// SPDX-License-Identifier: Apache-2.0
#include "compiler/policy_tests.h"

#include <fmt/format.h>

#include <utility>

#include "policy/text.h"

namespace bulkhead {
namespace {

Verdict Expected(std::string_view word) {
  if (word == "allow") return Verdict::kAllow;
  return word == "until-ready" ? Verdict::kUntilReady : Verdict::kDeny;
}

}  // namespace

std::vector<PolicyTest> ReadTests(const Bundle& bundle, std::span<const TestPolicy> tests,
                                  Diagnostics& diagnostics) {
  std::vector<PolicyTest> read;
  for (const TestPolicy& written : tests) {
    const Profile* component = bundle.Find(written.component.value);
    if (component == nullptr) {
      diagnostics.Error(
          written.component.at.place, "E0704",
          fmt::format("the enclave has no component {}", Quoted(written.component.value)),
          "a test names a component of this policy");
      continue;
    }
    const ActionRow* row = FindAction(written.action);
    const std::vector<std::string> words = row == nullptr
                                               ? std::vector<std::string>()
                                               : ObjectWords(row->object, written.object.value);
    auto question = ParseQuestion((*component)->arch, written.action, words);
    if (!question) {
      diagnostics.Error(written.object.at.place, "E0704", question.error(),
                        "see `bulkhead why --help`");
      continue;
    }
    const bool peer = row != nullptr &&
                      (row->object == ObjectKind::kComponent || row->object == ObjectKind::kTarget);
    if (const std::string error = peer ? WhyNoPeer(*bundle, **component, *question) : "";
        !error.empty()) {
      diagnostics.Error(written.object.at.place, "E0704", error,
                        "a test asks about what is in this policy");
      continue;
    }
    read.push_back({&written, &**component, std::move(*question),
                    fmt::format("{} {} {}: {}", written.component.value, written.action,
                                written.object.value, written.expect)});
  }
  return read;
}

tl::expected<std::vector<PolicyTestResult>, std::string> RunTests(
    Evaluator& evaluator, std::span<const PolicyTest> tests) {
  std::vector<PolicyTestResult> results;
  for (const PolicyTest& test : tests) {
    auto answer = evaluator.Ask(*test.component, test.question);
    if (!answer) return tl::make_unexpected(fmt::format("{}: {}", test.name, answer.error()));
    const bool passed = answer->verdict == Expected(test.written->expect);
    results.push_back({&test, std::move(*answer), passed});
  }
  return results;
}

}  // namespace bulkhead
