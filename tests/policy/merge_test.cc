// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "tests/policy/support.h"

namespace bulkhead::testing {
namespace {

const FileRule* RuleFor(const ComponentPolicy& component, std::string_view path) {
  const auto found = std::find_if(component.files.begin(), component.files.end(),
                                  [&](const FileRule& rule) { return rule.path == path; });
  return found == component.files.end() ? nullptr : &*found;
}

std::vector<std::string> Names(const std::vector<SyscallRule>& rules) {
  std::vector<std::string> names;
  for (const SyscallRule& rule : rules) names.push_back(rule.name);
  return names;
}

BOOST_AUTO_TEST_SUITE(Merge)

BOOST_AUTO_TEST_CASE(ListsJoinAndMapsMergeByKey) {
  const Loaded loaded = LoadText(OneComponent(R"(    profile: [a, b]
    syscalls: {allow: [fsync, fdatasync]}
    limits: {files: 32}
)",
                                              R"(profiles:
  a: {syscalls: {allow: [fsync, sync]}, limits: {files: 64, processes: 4}, env: {A: "1"}}
  b: {syscalls: {allow: [sync, syncfs]}, limits: {cpu: 10%}, env: {B: "2"}}
)"));
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const ComponentPolicy& one = Component(loaded, "one");
  BOOST_TEST(Names(one.allow) == (std::vector<std::string>{"fsync", "sync", "syncfs", "fdatasync"}),
             boost::test_tools::per_element());
  BOOST_TEST(one.limits.files == 32U);
  BOOST_TEST(one.limits.processes == 4U);
  BOOST_TEST(one.limits.cpu_percent == 10U);
  BOOST_TEST(one.env.size() == 2U);
}

BOOST_AUTO_TEST_CASE(AnItemKeepsThePlaceOfItsProfileAndTheIdOfTheComponent) {
  const Loaded loaded = LoadText(OneComponent("    profile: [a]\n    files: {read: [/srv]}\n",
                                              "profiles:\n  a: {files: {read: [/etc]}}\n"));
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const ComponentPolicy& one = Component(loaded, "one");
  BOOST_TEST(RuleFor(one, "/etc")->at.id == "components.one.files.read:/etc");
  BOOST_TEST(RuleFor(one, "/etc")->at.place.line == 5U);
  BOOST_TEST(RuleFor(one, "/etc")->at.place.column == 22U);
  BOOST_TEST(RuleFor(one, "/srv")->at.id == "components.one.files.read:/srv");
  BOOST_TEST(RuleFor(one, "/srv")->at.place.line == 10U);
}

BOOST_AUTO_TEST_CASE(ItemsOfOnePathMergeAsMaps) {
  const Loaded loaded = LoadText(
      OneComponent("    profile: [a]\n    files: {private: [{path: /tmp, size: 4M}]}\n",
                   "profiles:\n  a: {files: {private: [/tmp, {path: /var/tmp, size: 1M}]}}\n"));
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const ComponentPolicy& one = Component(loaded, "one");
  BOOST_TEST(one.files.size() == 2U);
  BOOST_TEST(RuleFor(one, "/tmp")->size == 4U << 20);
  BOOST_TEST(RuleFor(one, "/var/tmp")->size == 1U << 20);
}

BOOST_AUTO_TEST_CASE(TheComponentSettlesWhatProfilesDisagreeOn) {
  const std::string profiles = "profiles:\n  a: {umask: 0027}\n  b: {umask: 0022}\n";
  const Loaded open = LoadText(OneComponent("    profile: [a, b]\n", profiles));
  BOOST_TEST(open.HasCode("E0302"));
  const Loaded settled = LoadText(OneComponent("    profile: [a, b]\n    umask: 0077\n", profiles));
  BOOST_TEST_REQUIRE(settled.policy.has_value(), settled.Rendered());
  BOOST_TEST(Component(settled, "one").umask == 077U);
}

BOOST_AUTO_TEST_CASE(AgreeingProfilesAreNoConflict) {
  const Loaded loaded = LoadText(OneComponent("    profile: [a, b]\n",
                                              "profiles:\n  a: {umask: 0027, ready: {exit: 0}}\n"
                                              "  b: {umask: 0027, ready: {exit: 0}}\n"));
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  BOOST_TEST(Component(loaded, "one").umask == 027U);
}

BOOST_AUTO_TEST_CASE(ReadyAndExecAreWholeValues) {
  const Loaded loaded = LoadText(
      OneComponent("    profile: [a]\n    ready: {file: /run/one/ready}\n",
                   "profiles:\n  a: {ready: {exit: 0}, exec: [/usr/bin/false, --flag]}\n"));
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const ComponentPolicy& one = Component(loaded, "one");
  BOOST_TEST((one.lifecycle.ready.kind == ReadyKind::kFile));
  BOOST_TEST_REQUIRE(one.exec.size() == 1U);
  BOOST_TEST(one.exec[0].value == "/usr/bin/true");
}

BOOST_AUTO_TEST_CASE(TheStrongerVerbHolds) {
  const Loaded loaded = LoadText(OneComponent("    profile: [a]\n    files: {read: [/srv, /opt]}\n",
                                              "profiles:\n"
                                              "  a: {files: {create: [/srv], execute: [/opt]}}\n"));
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const ComponentPolicy& one = Component(loaded, "one");
  BOOST_TEST((RuleFor(one, "/srv")->verb == Verb::kCreate));
  BOOST_TEST((RuleFor(one, "/opt")->verb == Verb::kExecute));
}

BOOST_AUTO_TEST_CASE(ExceptTakesThingsOfProfilesOut) {
  const std::string profiles =
      "profiles:\n  a: {limits: {files: 64, cpu: 10%}, syscalls: {allow: [fsync, sync]},"
      " files: {read: [/etc]}}\n";
  const Loaded with = LoadText(OneComponent("    profile: [a]\n", profiles));
  BOOST_TEST_REQUIRE(with.policy.has_value(), with.Rendered());
  BOOST_TEST(Component(with, "one").limits.files == 64U);
  const Loaded without =
      LoadText(OneComponent("    profile: [a]\n    except: [limits.files, \"syscalls.allow:sync\", "
                            "\"files.read:/etc\"]\n",
                            profiles));
  BOOST_TEST_REQUIRE(without.policy.has_value(), without.Rendered());
  const ComponentPolicy& one = Component(without, "one");
  BOOST_TEST(one.limits.files == 0U);
  BOOST_TEST(one.limits.cpu_percent == 10U);
  BOOST_TEST(Names(one.allow) == std::vector<std::string>{"fsync"},
             boost::test_tools::per_element());
  BOOST_TEST(one.files.empty());
}

BOOST_AUTO_TEST_CASE(UsedFilesGiveProfilesAndTheirDigests) {
  const std::string body = "    profile: [house]\n";
  const Loaded loaded = LoadText(OneComponent(body, "use: [profiles/house.yaml]\n"), {},
                                 (TestFolder() / "data").string());
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  BOOST_TEST(Component(loaded, "one").limits.files == 256U);
  BOOST_TEST_REQUIRE(loaded.policy->policy.sources.size() == 1U);
  const NamedDigest& source = loaded.policy->policy.sources[0];
  BOOST_TEST(source.name == "profiles/house.yaml");
  const std::string text = ReadAll(TestFolder() / "data" / "profiles" / "house.yaml");
  BOOST_TEST((source.digest == Sha384(text)));
  // The same policy without it does not know the profile.
  BOOST_TEST(LoadText(OneComponent(body)).HasCode("E0301"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
