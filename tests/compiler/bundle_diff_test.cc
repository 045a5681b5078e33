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
       "syscall ioctl fd=0 request=TCGETS"},
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

// Around the components: `enclave` stands from line 4 on, `body` in the component.
std::string Around(std::string_view enclave, std::string_view body = "",
                   std::string_view target = "debian-13", std::string_view below = "") {
  return "bulkhead: 1\nenclave: test\ntarget: " + std::string(target) + "\n" +
         std::string(enclave) + "components:\n  one:\n" + std::string(body) +
         "    files: {execute: [/usr/bin/one], read: [/srv/data]}\n" + std::string(below);
}

constexpr const char* kExec = "    exec: [/usr/bin/one]\n";

// All lines, as `diff` prints them.
std::string Lines(const std::vector<Difference>& differences) {
  std::string text;
  for (const Difference& d : differences) {
    text += std::string(ChangeName(d.change)) + " " + d.component + ": " + d.witness + ": " +
            d.text + " [" + d.old_rule + ", " + d.new_rule + "]\n";
  }
  return text;
}

// What guards, records and shows the enclave: to lose it widens, to gain it narrows, and both
// values are said.
BOOST_AUTO_TEST_CASE(WhatIsLostWidens) {
  const std::string a(96, 'a');
  const auto pinned = [](const std::string& digest) {
    return "    exec: [{path: /usr/bin/one, sha384: " + digest + "}]\n";
  };
  struct Row {
    std::string more;
    std::string less;
    std::string witness;  // with the component's name
    std::string old_text;
    std::string new_text;
    std::string rule;
  };
  const Row rows[] = {
      {Around("audit: {sinks: [stdout, {file: /var/log/a}]}\n", kExec),
       Around("audit: {sinks: [stdout]}\n", kExec), ": sink file:/var/log/a",
       "file:/var/log/a and stdout", "stdout", "audit.sinks"},
      {Around("audit: {sinks: [stdout, {vsock: \"3:9001\"}]}\n", kExec),
       Around("audit: {sinks: [stdout]}\n", kExec), ": sink vsock:3:9001",
       "stdout and vsock:3:9001", "stdout", "audit.sinks"},
      {Around("audit: {sinks: [stdout, {unix: /var/log/socket}]}\n", kExec),
       Around("audit: {sinks: [stdout]}\n", kExec), ": sink unix:/var/log/socket",
       "stdout and unix:/var/log/socket", "stdout", "audit.sinks"},
      {Around("measure: {policy: tpm-pcr14, events: tpm-pcr14}\n", kExec),
       Around("measure: {policy: tpm-pcr14}\n", kExec), ": measure events", "tpm-pcr14", "none",
       "measure.events"},
      {Around("measure: {policy: tpm-pcr14}\n", kExec), Around("measure: {policy: none}\n", kExec),
       ": measure", "tpm-pcr14", "none", "measure"},
      {Around("assets: {gold: {files: [/srv/gold, /srv/key]}}\n", kExec), Around("", kExec),
       ": asset gold", "/srv/gold and /srv/key", "none", "assets.gold"},
      {Around("assets: {gold: {files: [/srv/gold, /srv/key]}}\n", kExec),
       Around("assets: {gold: {files: [/srv/gold]}}\n", kExec), ": asset gold /srv/key",
       "/srv/gold and /srv/key", "/srv/gold", "assets.gold"},
      {Around("", pinned(a)), Around("", kExec), "one: exec sha384", "sha384:" + a, "none",
       "components.one.exec"},
  };
  const auto of_enclave = [](const Row& row, bool back) {
    std::vector<Difference> lines = back ? DiffOf(MustCompile(row.less), MustCompile(row.more))
                                         : DiffOf(MustCompile(row.more), MustCompile(row.less));
    // Of the ledger, which says less of it.
    std::erase_if(lines, [](const Difference& d) { return d.area == "ledger"; });
    return Lines(lines);
  };
  for (const Row& row : rows) {
    BOOST_TEST(of_enclave(row, false) == "widened " + row.witness + ": " + row.old_text + ", now " +
                                             row.new_text + " [" + row.rule + ", ]\n");
    BOOST_TEST(of_enclave(row, true) == "narrowed " + row.witness + ": " + row.new_text + ", now " +
                                            row.old_text + " [, " + row.rule + "]\n");
    BOOST_TEST(DiffOf(MustCompile(row.more), MustCompile(row.more)).empty());
  }
}

BOOST_AUTO_TEST_CASE(AnotherInItsPlaceIsNeutral) {
  const auto of_area = [](const std::string& before, const std::string& after,
                          std::string_view area) {
    std::vector<Difference> lines = DiffOf(MustCompile(before), MustCompile(after));
    std::erase_if(lines, [&](const Difference& d) { return d.area != area; });
    return Lines(lines);
  };
  const std::string nitro =
      Around("measure: {policy: pcr20, events: pcr21}\n", kExec, "nitro-custom");
  const std::string tdx =
      Around("measure: {policy: rtmr3, events: rtmr3}\n", kExec, "tdx-ubuntu-25.10");
  BOOST_TEST(of_area(nitro, tdx, "measure") ==
             "neutral : measure: pcr20, now rtmr3 [measure, measure]\n"
             "neutral : measure events: pcr21, now rtmr3 [measure.events, measure.events]\n");
  const std::string waived =
      Around("measure: {policy: none}\n", kExec, "nitro-custom",
             "waivers: [{statement: measure, reason: tested, until: 2027-01-01}]\n");
  BOOST_TEST(of_area(nitro, waived, "measure") ==
             "widened : measure: pcr20, now none [measure, ]\n"
             "widened : measure events: pcr21, now none [measure.events, ]\n");
  BOOST_TEST(of_area(waived, nitro, "measure") ==
             "narrowed : measure: none, now pcr20 [, measure]\n"
             "narrowed : measure events: none, now pcr21 [, measure.events]\n");
  const std::string a(96, 'a');
  const std::string b(96, 'b');
  const auto pinned = [](const std::string& digest) {
    return Around("", "    exec: [{path: /usr/bin/one, sha384: " + digest + "}]\n");
  };
  BOOST_TEST(of_area(pinned(a), pinned(b), "component") ==
             "neutral one: exec sha384: sha384:" + a + ", now sha384:" + b +
                 " [components.one.exec, components.one.exec]\n");
  // What moves is lost where it was.
  BOOST_TEST(
      of_area(Around("audit: {sinks: [{file: /var/log/a}]}\n", kExec),
              Around("audit: {sinks: [{file: /var/log/b}]}\n", kExec), "audit") ==
      "widened : sink file:/var/log/a: file:/var/log/a, now file:/var/log/b [audit.sinks, ]\n"
      "narrowed : sink file:/var/log/b: file:/var/log/a, now file:/var/log/b "
      "[, audit.sinks]\n");
}

// The devices are the target's.
BOOST_AUTO_TEST_CASE(MeasuringDevices) {
  const Compiled before = MustCompile(Around("measure: {policy: tpm-pcr14}\n", kExec));
  Compiled after = MustCompile(Around("measure: {policy: tpm-pcr14}\n", kExec));
  BundleData data = *after;
  data.measure.tpm = "/dev/tpmrm1";
  auto bundle = Bundle::Make(std::move(data));
  BOOST_REQUIRE_MESSAGE(bundle.has_value(), bundle.error());
  after.compilation->bundle = std::move(*bundle);
  BOOST_TEST(Lines(DiffOf(before, after)) ==
             "neutral : measure tpm: /dev/tpmrm0, now /dev/tpmrm1 [measure, measure]\n");
}

// Each line is about a statement that there is.
BOOST_AUTO_TEST_CASE(StatementsOfTheLifeCycle) {
  const std::pair<const char*, const char*> rows[] = {
      {"    ready: {file: /srv/data/up}\n", "ready"},
      {"    stop: {signal: INT}\n", "stop"},
      {"    restart: {when: never}\n", "restart"},
      {"    critical: true\n", "critical"},
      {"    umask: \"0022\"\n", "umask"},
      {"    directory: /srv/data\n", "directory"},
      {"    stdout: \"null\"\n", "stdout"},
      {"    stderr: \"null\"\n", "stderr"},
  };
  const std::string plain = Around("", kExec);
  for (const auto& [text, name] : rows) {
    std::vector<Difference> lines =
        DiffOf(MustCompile(plain), MustCompile(Around("", kExec + std::string(text))));
    std::erase_if(lines, [](const Difference& d) { return d.area != "component"; });
    const std::string rule = std::string("components.one.") + name;
    BOOST_TEST(Lines(lines) ==
               std::string("neutral one: ") + name + ": changed [" + rule + ", " + rule + "]\n");
  }
  const auto other =
      DiffOf(MustCompile(plain), MustCompile(Around("", "    exec: [/usr/bin/one, -v]\n")));
  BOOST_TEST(Lines(other) ==
             "neutral one: exec: /usr/bin/one, now /usr/bin/one -v "
             "[components.one.exec, components.one.exec]\n");
}

BOOST_AUTO_TEST_CASE(WhatIsObservedPasses) {
  const auto with = [](OnViolation answer) {
    Compiled compiled = MustCompile(Around("", kExec));
    BundleData data = *compiled;
    data.components[0].on_violation = answer;
    auto bundle = Bundle::Make(std::move(data));
    BOOST_REQUIRE_MESSAGE(bundle.has_value(), bundle.error());
    compiled.compilation->bundle = std::move(*bundle);
    return compiled;
  };
  const auto line = [&](OnViolation before, OnViolation after) {
    std::vector<Difference> lines = DiffOf(with(before), with(after));
    std::erase_if(lines, [](const Difference& d) { return d.witness != "on-violation"; });
    BOOST_REQUIRE(lines.size() == 1U);
    return std::string(ChangeName(lines[0].change)) + " " + lines[0].text;
  };
  BOOST_TEST(line(OnViolation::kRefuse, OnViolation::kObserve) == "widened refuse, now observe");
  BOOST_TEST(line(OnViolation::kObserve, OnViolation::kRefuse) == "narrowed observe, now refuse");
  BOOST_TEST(line(OnViolation::kRefuse, OnViolation::kKill) == "neutral refuse, now kill");
}

// Which listener, and in whose name, where `reach` stays what it is.
BOOST_AUTO_TEST_CASE(Connections) {
  const auto enclave = [](const std::string& channels) {
    const std::string second =
        "  two:\n    exec: [/usr/bin/two]\n    files: {execute: [/usr/bin/two]}\n"
        "    network: {unix: {listen: [{path: /run/edges/a/s, name: a},"
        " {path: /run/edges/b/s, name: b}]}}\nchannels:\n";
    return MustCompile(Granted("    after: [two]\n", second + channels));
  };
  const std::string to_a = "  - {name: x, from: one, to: two, kind: connected, listener: a";
  const std::string to_b = "  - {name: x, from: one, to: two, kind: connected, listener: b}\n";
  const auto moved = DiffOf(enclave(to_a + "}\n"), enclave(to_b));
  BOOST_TEST(moved.size() == 2U);
  BOOST_TEST(Has(moved, Change::kWidened, "channel x"));
  BOOST_TEST(Has(moved, Change::kNarrowed, "channel x"));
  const auto named = DiffOf(enclave(to_a + "}\n"), enclave(to_a + ", identity: to}\n"));
  BOOST_TEST(Has(named, Change::kWidened, "channel x"));
  BOOST_TEST(DiffOf(enclave(to_b), enclave(to_b)).empty());
  const std::string pipe = "  - {name: line, from: one, to: two, kind: pipe}\n";
  const auto added = DiffOf(enclave(pipe), enclave(to_b + pipe));
  BOOST_TEST(added.size() == 1U);
  BOOST_TEST(Has(added, Change::kWidened, "channel x"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
