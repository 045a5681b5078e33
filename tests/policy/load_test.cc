// SPDX-License-Identifier: Apache-2.0
#include "policy/load.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "policy/shipped.h"
#include "policy/target.h"
#include "tests/policy/support.h"

namespace bulkhead::testing {
namespace {

std::vector<std::string> ShippedTargets() {
  std::vector<std::string> names;
  for (const ShippedFile& file : ShippedFiles()) {
    constexpr std::string_view kFolder = "targets/";
    if (!file.name.starts_with(kFolder)) continue;
    const std::string_view name = file.name.substr(kFolder.size());
    names.emplace_back(name.substr(0, name.rfind('.')));
  }
  return names;
}

const SyscallRule& Call(const ComponentPolicy& component, size_t index) {
  return component.allow.at(index);
}

BOOST_AUTO_TEST_SUITE(Load)

BOOST_AUTO_TEST_CASE(DefaultsAreTheDocumentedOnes) {
  const Loaded loaded = LoadText(OneComponent(""));
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const ComponentPolicy& one = Component(loaded, "one");
  BOOST_TEST(one.at.id == "components.one");
  BOOST_TEST(one.at.place.line == 5U);
  BOOST_TEST(one.directory.value == "/");
  BOOST_TEST(one.umask == 077U);
  BOOST_TEST((one.stdout_to == Stream::kLog && one.stderr_to == Stream::kLog));
  BOOST_TEST((one.lifecycle.ready.kind == ReadyKind::kStarted));
  BOOST_TEST(one.lifecycle.ready.within_ms == 30000U);
  BOOST_TEST(one.lifecycle.stop_within_ms == 5000U);
  BOOST_TEST((one.lifecycle.restart == RestartWhen::kOnFailure));
  BOOST_TEST(one.lifecycle.restart_at_most == 5U);
  BOOST_TEST(one.lifecycle.restart_within_ms == 60000U);
  BOOST_TEST(!one.lifecycle.critical);
  BOOST_TEST((one.on_violation == OnViolation::kRefuse));
  BOOST_TEST((one.files.empty() && one.allow.empty() && one.env.empty()));
}

BOOST_AUTO_TEST_CASE(VariablesAreReplacedAndSet) {
  const std::string text = OneComponent(
      "    env: {URL: \"http://localhost:${front}/$${x}\"}\n"
      "    network: {tcp: {bind: [\"${front}\"]}}\n",
      "vars: {front: 8443}\n");
  const Loaded plain = LoadText(text);
  BOOST_TEST_REQUIRE(plain.policy.has_value(), plain.Rendered());
  BOOST_TEST(Component(plain, "one").env[0].second.value == "http://localhost:8443/${x}");
  BOOST_TEST(Component(plain, "one").network.tcp_bind[0].port == 8443U);
  BOOST_TEST(Component(plain, "one").network.tcp_bind[0].at.id ==
             "components.one.network.tcp.bind:8443");
  LoadOptions options;
  options.set["front"] = "9443";
  const Loaded set = LoadText(text, options);
  BOOST_TEST_REQUIRE(set.policy.has_value(), set.Rendered());
  BOOST_TEST(Component(set, "one").network.tcp_bind[0].port == 9443U);
  BOOST_TEST(set.policy->policy.vars[0].second.value == "9443");
}

BOOST_AUTO_TEST_CASE(ArgumentTestsKeepTheirMeaning) {
  const Loaded loaded = LoadText(OneComponent(R"(    syscalls:
      allow:
        - {ioctl: {request: [TCGETS, 21531], fd: 3}}
        - {mmap: {prot: {not: {bits-set: [PROT_WRITE, PROT_EXEC]}}}}
        - {openat: {flags: {bits-set: O_CLOEXEC, bits-clear: [O_CREAT, O_TMPFILE]}}}
        - {lseek: {whence: {from: -1, to: SEEK_END}}}
        - {fcntl: {cmd: {mask: 3, equals: 0}}}
        - {on: {x86_64: [arch_prctl], aarch64: [{prctl: {option: PR_SET_NAME}}]}}
)"));
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const ComponentPolicy& one = Component(loaded, "one");
  BOOST_TEST_REQUIRE(one.allow.size() == 7U);
  const ArgTest& request = Call(one, 0).args[0].second;
  BOOST_TEST((request.kind == ArgTest::Kind::kAnyOf));
  BOOST_TEST(request.values[0].name == "TCGETS");
  BOOST_TEST((request.values[1].name.empty() && request.values[1].number == 21531));
  BOOST_TEST(Call(one, 0).args[1].second.values[0].number == 3);
  BOOST_TEST(Call(one, 0).at.id ==
             "components.one.syscalls.allow:ioctl{fd:3,request:[TCGETS,21531]}");
  const ArgTest& prot = Call(one, 1).args[0].second;
  BOOST_TEST((prot.kind == ArgTest::Kind::kNot));
  BOOST_TEST((prot.inner[0].kind == ArgTest::Kind::kBitsSet && prot.inner[0].values.size() == 2));
  const ArgTest& flags = Call(one, 2).args[0].second;
  BOOST_TEST((flags.kind == ArgTest::Kind::kBitsSet && flags.values[0].name == "O_CLOEXEC"));
  BOOST_TEST_REQUIRE(flags.inner.size() == 1U);
  BOOST_TEST((flags.inner[0].kind == ArgTest::Kind::kBitsClear));
  const ArgTest& whence = Call(one, 3).args[0].second;
  BOOST_TEST((whence.kind == ArgTest::Kind::kRange && whence.values[0].number == -1));
  BOOST_TEST((Call(one, 4).args[0].second.kind == ArgTest::Kind::kMaskEquals));
  BOOST_TEST((Call(one, 5).only_on == Arch::kX86_64));
  BOOST_TEST((Call(one, 6).only_on == Arch::kAarch64));
  BOOST_TEST(Call(one, 5).at.id == "components.one.syscalls.allow.on.x86_64:arch_prctl");
}

BOOST_AUTO_TEST_CASE(ProgramsCanBePinned) {
  const std::string digest(96, 'a');
  const Loaded loaded = LoadText(
      "bulkhead: 1\nenclave: test\ntarget: linux-6.18\ncomponents:\n  one:\n    exec:\n"
      "      - {path: /usr/bin/true, sha384: " +
      digest + "}\n      - --flag\n");
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  const ComponentPolicy& one = Component(loaded, "one");
  BOOST_TEST_REQUIRE(one.pin.has_value());
  BOOST_TEST(Hex(*one.pin) == digest);
  BOOST_TEST(one.exec[0].value == "/usr/bin/true");
  BOOST_TEST(one.exec[1].value == "--flag");
}

// Ids and values must not depend on the order in which things are written.
BOOST_AUTO_TEST_CASE(OrderOfKeysChangesNoStatement) {
  std::vector<std::string> keys = {
      "    umask: 0027\n",
      "    env: {A: a, B: b}\n",
      "    files: {read: [/etc, /usr], private: [/tmp]}\n",
      "    limits: {files: 64}\n",
      "    syscalls: {allow: [fsync, {ioctl: {request: [TCGETS]}}]}\n",
  };
  const auto statements = [&] {
    std::string body;
    for (const std::string& key : keys) body += key;
    const Loaded loaded = LoadText(OneComponent(body));
    BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
    const ComponentPolicy& one = Component(loaded, "one");
    std::set<std::string> ids;
    for (const FileRule& rule : one.files) ids.insert(rule.at.id);
    for (const SyscallRule& rule : one.allow) ids.insert(rule.at.id);
    for (const auto& [name, text] : one.env) ids.insert(text.at.id + "=" + text.value);
    for (const auto& [name, at] : one.limits_at) ids.insert(at.id);
    return ids;
  };
  const std::set<std::string> first = statements();
  BOOST_TEST(first.size() == 8U);
  std::mt19937 random(std::random_device{}());
  for (int i = 0; i < 10; ++i) {
    std::shuffle(keys.begin(), keys.end(), random);
    BOOST_TEST(statements() == first, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(EveryShippedTargetLoads) {
  const std::vector<std::string> names = ShippedTargets();
  for (const char* name : {"nitro-stock", "nitro-bootstrap", "nitro-custom", "tdx-ubuntu-24.04",
                           "tdx-ubuntu-25.10", "tdx-gcp-ubuntu", "debian-12", "debian-12-aarch64",
                           "debian-13", "debian-13-aarch64", "dstack", "linux-6.18"}) {
    BOOST_TEST((std::find(names.begin(), names.end(), name) != names.end()), name);
  }
  for (const std::string& name : names) {
    LoadOptions options;
    options.target = name;
    const Loaded loaded = LoadText(
        OneComponent("    files: {read: [\"@libraries\"], execute: [\"@loader\"]}\n"), options);
    BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
    const Target& target = loaded.policy->target.target;
    BOOST_TEST(target.name == name);
    BOOST_TEST(target.features.Has(Feature::kMountNamespace));
    // Readable Landlock records came with ABI 7 and never without it.
    BOOST_TEST(target.features.Has(Feature::kLandlockAudit) ==
               (target.features.Level(Feature::kLandlock) >= 7));
  }
}

BOOST_AUTO_TEST_CASE(TheRunningTargetIsTheCallers) {
  LoadOptions options;
  options.target = "running";
  BOOST_TEST(LoadText(OneComponent(""), options).HasCode("E0006"));
  int asked = 0;
  options.running = [&asked] {
    ++asked;
    TargetSpec spec;
    spec.target.name = "this-machine";
    return spec;
  };
  const Loaded loaded = LoadText(OneComponent(""), options);
  BOOST_TEST_REQUIRE(loaded.policy.has_value(), loaded.Rendered());
  BOOST_TEST(loaded.policy->target.target.name == "this-machine");
  BOOST_TEST(asked == 1);
  options.target = "linux-6.18";  // another one is no reason to look at this machine
  BOOST_TEST(LoadText(OneComponent(""), options).policy.has_value());
  BOOST_TEST(asked == 1);
}

BOOST_AUTO_TEST_CASE(ArchetypesMergeWithWhatServicesNeed) {
  for (const char* archetype : {"batch", "stateful-service", "gateway", "untrusted-code"}) {
    for (const char* service : {"nginx", "redis", "python", "gpg-agent"}) {
      const std::string profiles = std::string("    profile: [") + archetype + ", " + service;
      const Loaded loaded = LoadText(OneComponent(profiles + "]\n"));
      BOOST_TEST(loaded.policy.has_value(), loaded.Rendered());
    }
  }
}

BOOST_AUTO_TEST_CASE(JsonDiagnosticsCarryPlaceAndCode) {
  const Loaded loaded = LoadText(OneComponent("    umask: 77\n"));
  const std::string json = RenderJson(loaded.diagnostics.Sorted(), loaded.sources);
  BOOST_TEST(json ==
             "{\"diagnostics\":[{\"file\":\"policy.yaml\",\"line\":7,\"column\":12,\"length\":2,"
             "\"severity\":\"error\",\"code\":\"E0220\",\"message\":\"`77` is not four octal "
             "digits like `0077`\",\"help\":\"\"}]}");
}

BOOST_AUTO_TEST_CASE(AFileThatCanNotBeReadIsAnError) {
  for (const char* path : {"/nonexistent/policy.yaml", "/dev/zero", "/tmp"}) {
    Sources sources;
    Diagnostics diagnostics;
    BOOST_TEST(!LoadPolicyFile(path, {}, sources, diagnostics).has_value());
    BOOST_TEST_REQUIRE(diagnostics.ErrorCount() == 1U);
    BOOST_TEST(diagnostics.Sorted()[0].code == "E0001");
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
