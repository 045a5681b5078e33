// SPDX-License-Identifier: Apache-2.0
// From the text of a policy to a bundle, or to its mistakes, for the tests of the planner.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/compile.h"
#include "profiles/syscalls.h"

namespace bulkhead::testing {

struct Compiled {
  std::optional<Compilation> compilation;
  Sources sources;
  Diagnostics diagnostics;

  const BundleData& operator*() const { return *compilation->bundle; }
  const BundleData* operator->() const { return &*compilation->bundle; }

  const ProfileData& Component(std::string_view name) const {
    return **compilation->bundle.Find(name);
  }
  const LedgerRow* Row(std::string_view component, std::string_view statement) const {
    for (const LedgerRow& row : compilation->bundle->ledger) {
      if (row.component == component && row.statement == statement) return &row;
    }
    return nullptr;
  }
  // "line:column code message", a line each.
  std::string Mistakes() const {
    std::string text;
    for (const Diagnostic& d : diagnostics.Sorted()) {
      if (d.severity != Severity::kError) continue;
      text += std::to_string(d.place.line) + ":" + std::to_string(d.place.column) + " " + d.code +
              " " + d.message + "\n";
    }
    return text;
  }
};

using Change = std::function<void(LoadedPolicy&)>;  // what no text can say

inline Compiled CompileText(const std::string& text, const Change& change = {},
                            const std::string& target = {},
                            const std::string& date = "2026-01-01") {
  Compiled result;
  LoadOptions options;
  options.target = target;
  auto loaded =
      LoadPolicyText("policy.yaml", text, "/", options, result.sources, result.diagnostics);
  BOOST_REQUIRE_MESSAGE(loaded.has_value(), result.Mistakes());
  if (change) change(*loaded);
  result.compilation = Compile(*loaded, {date}, result.diagnostics);
  BOOST_TEST(result.compilation.has_value() != result.diagnostics.HasErrors());
  return result;
}

inline Compiled MustCompile(const std::string& text, const Change& change = {},
                            const std::string& target = {}) {
  Compiled result = CompileText(text, change, target);
  BOOST_REQUIRE_MESSAGE(result.compilation.has_value(), result.Mistakes());
  return result;
}

// A policy of one component; `body` stands beside its `exec`, indented by four, from line 7 on.
inline std::string One(std::string_view body, std::string_view below = {}) {
  return "bulkhead: 1\nenclave: test\ntarget: linux-6.18\ncomponents:\n  one:\n"
         "    exec: [/usr/bin/one]\n" +
         std::string(body) + std::string(below);
}

// One with its program granted: `body` stands from line 8 on.
inline std::string Granted(std::string_view body, std::string_view below = {}) {
  return One("    files: {execute: [/usr/bin/one]}\n" + std::string(body), below);
}

inline Change WithLevel(Feature feature, uint32_t level) {
  return [=](LoadedPolicy& loaded) { loaded.target.target.features.Set(feature, level); };
}

inline uint32_t ActionOf(const ProfileData& profile, std::string_view call,
                         std::array<uint64_t, 6> args = {}) {
  const auto nr = SyscallNumber(profile.arch, call);
  BOOST_REQUIRE_MESSAGE(nr.has_value(), call);
  return Evaluate(profile.filter, {*nr, AuditArch(profile.arch), 0, args}).action;
}

inline bool Allows(const ProfileData& profile, std::string_view call,
                   std::array<uint64_t, 6> args = {}) {
  return ActionOf(profile, call, args) == kRetAllow;
}

inline const ViewEntry* ViewOf(const ProfileData& profile, std::string_view path) {
  const auto found = std::find_if(profile.view.begin(), profile.view.end(),
                                  [&](const ViewEntry& entry) { return entry.path == path; });
  return found == profile.view.end() ? nullptr : &*found;
}

// The Landlock access granted on exactly this path.
inline uint64_t AccessOf(const ProfileData& profile, std::string_view path) {
  for (const LandlockRule& rule : profile.landlock.rules) {
    if (rule.path == path) return rule.access;
  }
  return 0;
}

}  // namespace bulkhead::testing
