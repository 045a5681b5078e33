// SPDX-License-Identifier: Apache-2.0
// What changed between two policies: each edit comes to its witness and nothing else, and a change
// of bytes alone to nothing.
#include "compiler/bundle_diff.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "compiler/why.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Compiled;
using testing::Granted;
using testing::MustCompile;

std::vector<Difference> DiffOf(const Compiled& before, const Compiled& after) {
  const auto differences = DiffBundles(before.compilation->bundle, after.compilation->bundle);
  BOOST_REQUIRE_MESSAGE(differences.has_value(), (differences ? "" : differences.error()));
  return *differences;
}

std::vector<Difference> DiffOf(const std::string& before, const std::string& after) {
  return DiffOf(MustCompile(Granted(before)), MustCompile(Granted(after)));
}

bool Has(const std::vector<Difference>& differences, Change change, const std::string& witness) {
  for (const Difference& d : differences) {
    if (d.change == change && d.witness.starts_with(witness)) return true;
  }
  return false;
}

size_t Count(const std::vector<Difference>& differences, Change change) {
  size_t count = 0;
  for (const Difference& d : differences) count += d.change == change;
  return count;
}

BOOST_AUTO_TEST_SUITE(BundleDiffs)

// What one direction widens the other narrows, by the same witnesses.
BOOST_AUTO_TEST_CASE(EachWay) {
  struct Edit {
    const char* more;
    const char* witness;
  };
  const std::string none = "    syscalls: {allow: [\"@files\"]}\n";
  const Edit edits[] = {
      {"    syscalls: {allow: [\"@files\", getppid]}\n", "syscall getppid"},
      {"    syscalls: {allow: [\"@files\", {ioctl: {request: [TCGETS]}}]}\n",
       "syscall ioctl fd=0x0 request=0x5401"},
      {"    syscalls: {allow: [\"@files\"]}\n    network: {tcp: {connect: [443]}}\n",
       "connect tcp:443"},
      {"    syscalls: {allow: [\"@files\"]}\n    network: {tcp: {listen: [{port: 80, name: w}]}}\n",
       "listen tcp:80"},
      {"    syscalls: {allow: [\"@files\"]}\n    devices: [/dev/rtc0]\n", "read /dev/rtc0"},
      {"    syscalls: {allow: [\"@files\"]}\n    secrets: [{name: token, from: /srv/token}]\n",
       "read /srv/token"},
  };
  for (const Edit& edit : edits) {
    const auto wider = DiffOf(none, edit.more);
    BOOST_TEST(Has(wider, Change::kWidened, edit.witness), edit.witness);
    BOOST_TEST(Count(wider, Change::kNarrowed) == 0U, edit.witness);
    const auto narrower = DiffOf(edit.more, none);
    BOOST_TEST(Has(narrower, Change::kNarrowed, edit.witness), edit.witness);
    BOOST_TEST(Count(narrower, Change::kWidened) == 0U, edit.witness);
    BOOST_TEST(Count(wider, Change::kWidened) == Count(narrower, Change::kNarrowed));
    BOOST_TEST(DiffOf(edit.more, edit.more).empty(), edit.witness);
  }
}

// Sets of arguments are compared, not how they are written.
BOOST_AUTO_TEST_CASE(EqualFiltersAreEqual) {
  const std::string one = "    syscalls: {allow: [{lseek: {whence: {from: 0, to: 3}}}]}\n";
  const std::string other =
      "    syscalls: {allow: [{lseek: {whence: [0, 1]}}, {lseek: {whence: [3, 2]}}]}\n";
  BOOST_TEST(DiffOf(one, other).empty());
  const Compiled shaped = MustCompile(Granted(one));
  Compiled longer = MustCompile(Granted(one));
  BundleData data = *longer;
  Filter& filter = data.components[0].filter;
  // The same program behind a jump over a return that nothing reaches.
  filter.insert(filter.begin(), {{kJumpAlways, 0, 0, 1}, {kReturn, 0, 0, kRetKillProcess}});
  auto bundle = Bundle::Make(std::move(data));
  BOOST_REQUIRE_MESSAGE(bundle.has_value(), bundle.error());
  longer.compilation->bundle = std::move(*bundle);
  BOOST_TEST(DiffOf(shaped, longer).empty());
}

BOOST_AUTO_TEST_CASE(WitnessesAreAnswersOfWhy) {
  const Compiled before = MustCompile(Granted("    syscalls: {allow: [\"@io\"]}\n"));
  const Compiled after = MustCompile(Granted(
      "    syscalls: {allow: [\"@files\", {lseek: {offset: {from: 7, to: 9}}}], deny: [dup]}\n"));
  size_t asked = 0;
  for (const Difference& d : DiffOf(before, after)) {
    if (d.area == "component" || d.area == "limits") continue;
    const size_t space = d.witness.find(' ');
    const std::string action = d.witness.substr(0, space);
    const ActionRow* row = FindAction(action);
    BOOST_TEST_REQUIRE(row != nullptr, d.witness);
    auto words = ObjectWords(row->object, d.witness.substr(space + 1));
    if (row->object == ObjectKind::kCall)
      words = ObjectWords(ObjectKind::kCall, d.witness.substr(space + 1));
    const auto old_answer = Why(before.compilation->bundle, d.component, action, words);
    const auto new_answer = Why(after.compilation->bundle, d.component, action, words);
    BOOST_TEST_REQUIRE((old_answer && new_answer), d.witness);
    BOOST_TEST(((new_answer->verdict < old_answer->verdict) == (d.change == Change::kWidened)),
               d.witness);
    BOOST_TEST((new_answer->verdict != old_answer->verdict), d.witness);
    ++asked;
  }
  BOOST_TEST(asked > 10U);
}

BOOST_AUTO_TEST_CASE(WhatIsNoReach) {
  BOOST_TEST(Has(DiffOf("    limits: {memory: 64M}\n", "    limits: {memory: 128M}\n"),
                 Change::kWidened, "memory"));
  BOOST_TEST(Has(DiffOf("    limits: {memory: 64M}\n", "    limits: {memory: 32M}\n"),
                 Change::kNarrowed, "memory"));
  BOOST_TEST(Has(DiffOf("    limits: {memory: 64M}\n", ""), Change::kWidened, "memory"));
  const auto env = DiffOf("", "    env: {A: b}\n");
  BOOST_TEST(env.size() == 1U);
  BOOST_TEST(Has(env, Change::kNeutral, "env"));
  const std::string second =
      "  two:\n    exec: [/usr/bin/two]\n    files: {execute: [/usr/bin/two]}\n";
  const auto added = DiffOf(MustCompile(Granted("")), MustCompile(Granted("", second)));
  BOOST_TEST(Has(added, Change::kWidened, "two"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
