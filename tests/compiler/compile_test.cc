// SPDX-License-Identifier: Apache-2.0
// Properties of whole compilations: the same bytes for the same meaning, what the map says, what
// dates do, and that nothing is left without a row of the ledger.
#include "compiler/compile.h"

#include <boost/test/unit_test.hpp>
#include <set>
#include <string>

#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Compiled;
using testing::CompileText;
using testing::Granted;
using testing::MustCompile;

constexpr const char* kEnclave = R"(bulkhead: 1
enclave: test
target: linux-6.18
vars: {port: 8443, other: text}
assets:
  key: {files: [/var/lib/signer, /var/lib/signer/a, /var/lib/signer/b]}
components:
  signer:
    exec: [/usr/bin/signer]
    env: {A: "1", B: "2"}
    files:
      execute: [/usr/bin/signer, "@loader"]
      read: ["@libraries", /etc/ssl]
      state: [/var/lib/signer]
      private: [{path: /tmp, size: 16M}]
    network:
      unix:
        listen:
          - {path: /run/edges/sign/a.sock, name: a, from: [client]}
          - {path: /run/edges/sign/b.sock, by: component, from: [client]}
    syscalls:
      allow: ["@service", {ioctl: {request: [TCGETS, FIONREAD]}}, {fcntl: {cmd: [F_GETFL, F_SETFL]}}]
      deny: [fork, vfork]
    limits: {memory: 64M, files: 64}
  client:
    exec: [/usr/bin/client]
    files: {execute: [/usr/bin/client, "@loader"], read: ["@libraries"]}
    network:
      unix: {connect: [/run/edges/sign/a.sock, /run/edges/sign/b.sock]}
      tcp: {connect: [443, 80], listen: [{port: "${port}", name: web}]}
    syscalls: {allow: [read, "@io"]}
    after: [signer]
channels:
  - {name: one, from: client, to: signer, kind: stream}
  - {name: two, from: signer, to: client, kind: pipe}
waivers:
  - {component: signer, statement: network.unix.listen, reason: test, until: 2030-01-01}
)";

// The same enclave with every map and list in another order.
constexpr const char* kShuffled = R"(bulkhead: 1
waivers:
  - {until: 2030-01-01, reason: test, statement: network.unix.listen, component: signer}
channels:
  - {kind: pipe, to: client, from: signer, name: two}
  - {to: signer, kind: stream, name: one, from: client}
components:
  client:
    after: [signer]
    syscalls: {allow: ["@io", read]}
    network:
      tcp: {listen: [{name: web, port: "${port}"}], connect: [80, 443]}
      unix: {connect: [/run/edges/sign/b.sock, /run/edges/sign/a.sock]}
    files: {read: ["@libraries"], execute: ["@loader", /usr/bin/client]}
    exec: [/usr/bin/client]
  signer:
    limits: {files: 64, memory: 64M}
    syscalls:
      deny: [vfork, fork]
      allow: [{fcntl: {cmd: [F_SETFL, F_GETFL]}}, {ioctl: {request: [FIONREAD, TCGETS]}}, "@service"]
    network:
      unix:
        listen:
          - {from: [client], by: component, path: /run/edges/sign/b.sock}
          - {from: [client], name: a, path: /run/edges/sign/a.sock}
    files:
      private: [{size: 16M, path: /tmp}]
      state: [/var/lib/signer]
      read: [/etc/ssl, "@libraries"]
      execute: ["@loader", /usr/bin/signer]
    env: {B: "2", A: "1"}
    exec: [/usr/bin/signer]
assets:
  key: {files: [/var/lib/signer/b, /var/lib/signer/a, /var/lib/signer]}
vars: {other: text, port: 8443}
target: linux-6.18
enclave: test
)";

std::string Waived(const std::string& until) {
  return "bulkhead: 1\nenclave: test\ntarget: nitro-custom\nmeasure: {policy: none}\n"
         "components:\n  one:\n    exec: [/usr/bin/one]\n"
         "    files: {execute: [/usr/bin/one]}\n"
         "waivers:\n  - {statement: measure, reason: \"a test\", until: " +
         until + "}\n";
}

BOOST_AUTO_TEST_SUITE(Compilations)

BOOST_AUTO_TEST_CASE(OrderNeverShows) {
  const Compiled straight = MustCompile(kEnclave);
  const Compiled shuffled = MustCompile(kShuffled);
  BOOST_TEST((*straight == *shuffled));
  BOOST_TEST(
      (EncodeBundle(straight.compilation->bundle) == EncodeBundle(shuffled.compilation->bundle)));
}

BOOST_AUTO_TEST_CASE(DecodesToItself) {
  const Compiled compiled = MustCompile(kEnclave);
  const auto bytes = EncodeBundle(compiled.compilation->bundle);
  const auto decoded = DecodeBundle(bytes);
  BOOST_REQUIRE_MESSAGE(decoded.has_value(), (decoded ? "" : decoded.error()));
  BOOST_TEST((**decoded == *compiled));
}

BOOST_AUTO_TEST_CASE(EveryMeaningHasItsBytes) {
  const auto bytes = EncodeBundle(MustCompile(kEnclave).compilation->bundle);
  std::string other = kEnclave;
  other.replace(other.find("FIONREAD"), 8, "TCSETS");
  BOOST_TEST((EncodeBundle(MustCompile(other).compilation->bundle) != bytes));
}

BOOST_AUTO_TEST_CASE(DatesChangeNoBytes) {
  const Compiled now = CompileText(Waived("2026-06-30"), {}, {}, "2026-06-30");
  const Compiled before = CompileText(Waived("2026-06-30"), {}, {}, "2025-01-01");
  BOOST_REQUIRE(now.compilation.has_value());
  BOOST_REQUIRE(before.compilation.has_value());
  BOOST_TEST((*now == *before));
  const Compiled after = CompileText(Waived("2026-06-30"), {}, {}, "2026-07-01");
  BOOST_TEST(after.Mistakes() == "10:5 E0520 this waiver ended on 2026-06-30\n");
}

// No statement without a row, no row without controls or a waiver, no silence without a reason.
BOOST_AUTO_TEST_CASE(TheLedgerIsWhole) {
  const Compiled compiled = MustCompile(kEnclave);
  std::set<std::pair<std::string, std::string>> seen;
  for (const LedgerRow& row : compiled->ledger) {
    BOOST_TEST((!row.controls.empty() || row.status == Status::kWaived), row.statement);
    BOOST_TEST((row.recorder != Recorder::kNone || !row.note.empty()), row.statement);
    BOOST_TEST((row.status == Status::kEnforced || !row.note.empty()), row.statement);
    BOOST_TEST(seen.emplace(row.component, row.statement).second, row.statement);
  }
  for (const char* statement :
       {"exec", "files", "files.execute", "files.read", "files.state", "files.private", "network",
        "network.unix.listen", "syscalls", "user", "limits.memory", "limits.files",
        "limits.processes", "restart"}) {
    const std::string id = std::string("components.signer.") + statement;
    BOOST_TEST((compiled.Row("signer", id) != nullptr), id);
  }
  for (const char* statement :
       {"network.unix.connect", "network.tcp.connect", "network.tcp.listen"}) {
    const std::string id = std::string("components.client.") + statement;
    BOOST_TEST((compiled.Row("client", id) != nullptr), id);
  }
  BOOST_TEST((compiled.Row("client", "assets.key") != nullptr));
  BOOST_TEST((compiled.Row("signer", "assets.key") == nullptr));
  BOOST_TEST((compiled.Row("", "measure") != nullptr));
}

// What the target has, and no more.
BOOST_AUTO_TEST_CASE(RequirementsAreMetByTheTarget) {
  const Compiled compiled = MustCompile(kEnclave);
  BOOST_TEST(compiled->requirements.size() > 10U);
  for (const Requirement& requirement : compiled->requirements) {
    BOOST_TEST(compiled->target.features.Level(requirement.feature) >= requirement.level,
               requirement.statement);
  }
}

BOOST_AUTO_TEST_CASE(AMissingFeatureIsAMistake) {
  for (const FeatureInfo& info : Features()) {
    const Compiled full = MustCompile(Granted(""));
    const bool required =
        std::any_of(full->requirements.begin(), full->requirements.end(),
                    [&](const Requirement& item) { return item.feature == info.feature; });
    const Compiled less = CompileText(Granted(""), testing::WithLevel(info.feature, 0));
    const bool substituted =
        info.feature == Feature::kLandlock || info.feature == Feature::kLandlockAudit ||
        info.feature == Feature::kCgroupPids || info.feature == Feature::kSeccompNotify ||
        info.feature == Feature::kCloseRange || info.feature == Feature::kProcSubsetPid;
    BOOST_TEST(less.compilation.has_value() == (!required || substituted), info.key);
  }
}

// The example that the language was designed with, without what is not enforced yet. Its target
// tells ports apart, so the waiver of `network.tcp` changes nothing there.
BOOST_AUTO_TEST_CASE(DesignExample) {
  const std::string path = BULKHEAD_SOURCE_DIR "/tests/policy/data/design-enforced.yaml";
  Compiled result;
  auto loaded = LoadPolicyFile(path, {}, result.sources, result.diagnostics);
  BOOST_REQUIRE_MESSAGE(loaded.has_value(), result.Mistakes());
  result.compilation = Compile(*loaded, {"2026-01-01"}, result.diagnostics);
  BOOST_REQUIRE_MESSAGE(result.compilation.has_value(), result.Mistakes());
  const auto notes = result.diagnostics.Sorted();
  BOOST_TEST(std::ranges::any_of(notes, [](const Diagnostic& d) { return d.code == "E0521"; }));
  const LedgerRow* row = result.Row("agent", "components.agent.network.tcp.connect");
  BOOST_REQUIRE(row != nullptr);
  BOOST_TEST((row->status == Status::kEnforced));
  BOOST_TEST(result->components.size() == 3U);
  for (const char* name : {"agent", "tools"}) {
    BOOST_TEST((result.Row(name, "assets.signing-key")->recorder == Recorder::kLandlockRecord));
  }
}

BOOST_AUTO_TEST_CASE(TheMapNamesPlaces) {
  const Compiled compiled = MustCompile(kEnclave);
  const Digest digest{};
  const std::string map = RenderMap(*compiled.compilation, compiled.sources, digest);
  BOOST_TEST(map.starts_with("sha384:" + std::string(96, '0') + "\n"));
  for (const char* line :
       {"components.signer.files.state:/var/lib/signer\tpolicy.yaml:14:15\n",
        "components.client.network.tcp.connect:443\tpolicy.yaml:30:23\n",
        "components.client.user\tpolicy.yaml:25:3\n", "assets.key\tpolicy.yaml:6:3\n"}) {
    BOOST_TEST((map.find(line) != std::string::npos), line << " is not in\n" << map);
  }
}

// Whatever a rule of the bundle names can be found in the policy, or is of a whole section.
BOOST_AUTO_TEST_CASE(RulesAreInTheMap) {
  const Compiled compiled = MustCompile(kEnclave);
  std::set<std::string> known;
  for (const MapRow& row : compiled.compilation->map) known.insert(row.id);
  for (const ProfileData& profile : compiled->components) {
    for (const ViewEntry& entry : profile.view) BOOST_TEST(known.contains(entry.rule), entry.rule);
    for (const Listener& item : profile.listeners) BOOST_TEST(known.contains(item.rule), item.rule);
    for (const LandlockPort& port : profile.landlock.ports) {
      BOOST_TEST(known.contains(port.rule), port.rule);
    }
    for (const LandlockRule& rule : profile.landlock.rules) {
      const bool own = rule.rule == "components." + profile.name + ".files";
      BOOST_TEST((own || known.contains(rule.rule)), rule.rule);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
