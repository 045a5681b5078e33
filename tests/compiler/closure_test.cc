// SPDX-License-Identifier: Apache-2.0
// The table of ways round: what the compiler makes is closed, and each control that is taken away
// is missed.
#include "compiler/closure.h"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "compiler/filter_gen.h"
#include "compiler/resolve_calls.h"
#include "profiles/landlock.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Compiled;
using testing::CompileText;
using testing::Granted;
using testing::MustCompile;

// Two components that share an edge, and one that shares nothing.
std::string Three(std::string_view first = {}, std::string_view second = {}) {
  return "bulkhead: 1\nenclave: test\ntarget: linux-6.18\ncomponents:\n"
         "  one:\n    exec: [/usr/bin/one]\n"
         "    files: {execute: [/usr/bin/one, \"@loader\"], read: [\"@libraries\"], "
         "state: [/var/lib/one]}\n"
         "    network: {unix: {listen: [{path: /run/edges/a/s.sock, name: s, from: [two]}]}, "
         "tcp: {listen: [{port: 80, name: web}]}}\n" +
         std::string(first) +
         "  two:\n    exec: [/usr/bin/two]\n    files: {execute: [/usr/bin/two]}\n"
         "    network: {unix: {connect: [/run/edges/a/s.sock]}}\n" +
         std::string(second) +
         "  three:\n    exec: [/usr/bin/three]\n    files: {execute: [/usr/bin/three]}\n"
         "    network: {unix: {listen: [{path: /run/edges/b/s.sock, by: component, "
         "from: [four]}]}}\n"
         "  four:\n    exec: [/usr/bin/four]\n    files: {execute: [/usr/bin/four]}\n"
         "    network: {unix: {connect: [/run/edges/b/s.sock]}}\n";
}

ProfileData& Find(BundleData& enclave, std::string_view name) {
  return *std::ranges::find(enclave.components, name, &ProfileData::name);
}

WayVerdict VerdictOf(const BundleData& enclave, const ProfileData& profile, std::string_view way) {
  const auto verdicts = ClosureCheck(enclave).Judge(profile);
  BOOST_REQUIRE_MESSAGE(verdicts.has_value(), verdicts.error());
  const auto found = std::ranges::find_if(
      *verdicts, [&](const WayVerdict& verdict) { return verdict.way->id == way; });
  BOOST_REQUIRE_MESSAGE(found != verdicts->end(), way);
  return *found;
}

Filter FilterOf(std::vector<CallRule> rules) {
  CallPlan plan;
  plan.rules = MergeRules(std::move(rules));
  auto filter = GenerateFilter(plan);
  BOOST_REQUIRE_MESSAGE(filter.has_value(), filter.error());
  return *filter;
}

BOOST_AUTO_TEST_SUITE(Closures)

BOOST_AUTO_TEST_CASE(TheTableIsInOrder) {
  std::set<std::string_view> ids;
  Intent last{};
  for (const WayRound& way : WaysRound()) {
    BOOST_TEST(ids.insert(way.id).second, way.id);
    BOOST_TEST((last <= way.intent), way.id);
    last = way.intent;
    BOOST_TEST(!way.closers.empty(), way.id);
    BOOST_TEST(way.statement.empty() == way.choices.empty(), way.id);
    for (const Closer& closer : way.closers) {
      BOOST_TEST(!closer.text.empty(), way.id);
      for (const CallForm& form : closer.refused) {
        BOOST_TEST(IsSyscallName(form.call), way.id << " " << form.call);
      }
    }
  }
  BOOST_TEST(ids.size() > 60U);
  for (const LeftOpen& open : WaysLeftOpen()) BOOST_TEST(ids.insert(open.id).second, open.id);
}

BOOST_AUTO_TEST_CASE(TheDocumentIsTheTable) {
  const std::string path = std::string(BULKHEAD_SOURCE_DIR) + "/docs/CLOSURE.md";
  const std::string expected = ClosureDocs();
  if (std::getenv("BULKHEAD_REGENERATE") != nullptr) std::ofstream(path) << expected;
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  BOOST_TEST((text == expected), "run BULKHEAD_REGENERATE=1 test-compiler");
  BOOST_TEST(text.find("|  |") == std::string::npos, "an empty cell");
}

BOOST_AUTO_TEST_CASE(WhatIsCompiledIsClosed) {
  for (const char* target : {"linux-6.18", "linux-6.18-aarch64", "debian-13", "debian-12"}) {
    const Compiled compiled = MustCompile(
        Three("    syscalls: {allow: [\"@service\"]}\n", "    syscalls: {allow: [\"@batch\"]}\n"),
        {}, target);
    ClosureCheck check(*compiled);
    for (const ProfileData& profile : compiled->components) {
      const auto verdicts = check.Judge(profile);
      BOOST_REQUIRE(verdicts.has_value());
      BOOST_TEST(verdicts->size() == WaysRound().size());
      for (const WayVerdict& verdict : *verdicts) {
        BOOST_TEST((verdict.closure != Closure::kOpen), profile.name << " " << verdict.way->id);
      }
    }
  }
}

// A filter that lets one form of a call pass is not what closes the way.
BOOST_AUTO_TEST_CASE(EachFormIsMissed) {
  const Compiled compiled = MustCompile(Three());
  size_t forms = 0;
  for (const WayRound& way : WaysRound()) {
    for (const Closer& closer : way.closers) {
      for (const CallForm& form : closer.refused) {
        const auto nr = SyscallNumber(Arch::kX86_64, form.call);
        if (!nr) continue;
        ++forms;
        BundleData enclave = *compiled;
        ProfileData& one = Find(enclave, "one");
        one.filter = FilterOf({{*nr, {form.when}, {}}});
        const WayVerdict verdict = VerdictOf(enclave, one, way.id);
        BOOST_TEST(verdict.closer != &closer, way.id << " " << form.call);
        if (verdict.closure == Closure::kOpen) BOOST_TEST(!verdict.witness.empty(), way.id);
      }
    }
  }
  BOOST_TEST(forms > 90U);
}

// What a control is worth that is no system call's: without it the way is open, or another control
// closes it.
struct Loss {
  const char* way;
  Layer layer;
  std::function<void(BundleData&, ProfileData&)> change;
};

BOOST_AUTO_TEST_CASE(EachOtherControlIsMissed) {
  const auto show = [](const char* path, ViewKind kind) {
    return [=](BundleData&, ProfileData& one) { one.view.push_back({.path = path, .kind = kind}); };
  };
  const auto write_code = [](BundleData& enclave, ProfileData&) {
    Find(enclave, "three").view.push_back({.path = "/usr/bin", .kind = ViewKind::kWritable});
  };
  const auto no_landlock = [](BundleData&, ProfileData& one) { one.landlock = {}; };
  const auto allowing = [](std::string_view call) {
    return [=](BundleData&, ProfileData& one) {
      one.filter = FilterOf({{*SyscallNumber(Arch::kX86_64, call), {{}}, {}}});
    };
  };
  const auto connecting = [&](const std::function<void(BundleData&, ProfileData&)>& also) {
    return [=](BundleData& enclave, ProfileData& one) {
      allowing("connect")(enclave, one);
      if (also) also(enclave, one);
    };
  };
  const Loss losses[] = {
      {"reach-policy", Layer::kView, show("/var/log/bulkhead", ViewKind::kReadOnly)},
      {"reach-policy", Layer::kView, show("/run", ViewKind::kWritable)},
      {"files-unix-connect", Layer::kSeccomp, connecting(show("/run/edges", ViewKind::kReadOnly))},
      {"files-unix-connect", Layer::kSeccomp, connecting(show("/run/edges/b", ViewKind::kEdge))},
      {"files-unix-connect", Layer::kSeccomp, connecting(show("/run/dbus", ViewKind::kReadOnly))},
      {"files-unix-connect", Layer::kSeccomp, connecting({})},
      {"files-locks", Layer::kSeccomp, allowing("flock")},
      {"execute-read", Layer::kSeccomp, allowing("execve")},
      {"files-special", Layer::kLandlock, no_landlock},
      {"files-special", Layer::kLandlock,
       [](BundleData&, ProfileData& one) {
         one.landlock.rules.push_back({"/var/lib/one/x", landlock::kMakeFifo, false, ""});
       }},
      {"files-truncate", Layer::kLandlock, no_landlock},
      {"files-ioctl-device", Layer::kLandlock, no_landlock},
      {"execute-loader", Layer::kView, write_code},
      {"execute-written", Layer::kView, write_code},
      {"execute-written", Layer::kView, show("/usr", ViewKind::kState)},
      {"memory-wx-proc-mem", Layer::kLandlock,
       [](BundleData&, ProfileData& one) {
         one.landlock.rules.push_back({"/proc", landlock::kWriteFile, false, ""});
       }},
      {"devices-attestation", Layer::kSeccomp, show("/dev/nsm", ViewKind::kDevice)},
      {"vsock-socket", Layer::kSeccomp, show("/dev/vsock", ViewKind::kDevice)},
      {"unix-abstract", Layer::kNamespace,
       [](BundleData&, ProfileData& one) { one.network = Network::kShared; }},
      {"tcp-listener-as-client", Layer::kLandlock, no_landlock},
      {"signals-sigio", Layer::kLandlock, no_landlock},
  };
  const Compiled compiled = MustCompile(Three());
  for (const Loss& loss : losses) {
    const WayVerdict before = VerdictOf(*compiled, compiled.Component("one"), loss.way);
    BOOST_REQUIRE_MESSAGE(before.closer != nullptr, loss.way);
    BOOST_TEST((before.closer->layer == loss.layer), loss.way);
    BundleData enclave = *compiled;
    ProfileData& one = Find(enclave, "one");
    loss.change(enclave, one);
    const WayVerdict after = VerdictOf(enclave, one, loss.way);
    BOOST_TEST(after.closer != before.closer, loss.way);
  }
}

// A network of the enclave's, out of scope by Landlock alone.
BOOST_AUTO_TEST_CASE(NothingIsLeft) {
  BundleData enclave = *MustCompile(Three());
  ProfileData& one = Find(enclave, "one");
  one.network = Network::kShared;
  BOOST_TEST((VerdictOf(enclave, one, "unix-abstract").closure == Closure::kClosed));
  one.landlock.scoped = landlock::kScopeSignal;
  BOOST_TEST((VerdictOf(enclave, one, "unix-abstract").closure == Closure::kOpen));
}

// A file in memory that is passed over an edge is one that whoever gets it did not make.
BOOST_AUTO_TEST_CASE(PassedMemoryFiles) {
  BundleData enclave = *MustCompile(Three());
  const uint32_t execve = SyscallNumber(Arch::kX86_64, "execve").value();
  const uint32_t memfd_create = SyscallNumber(Arch::kX86_64, "memfd_create").value();
  ProfileData& one = Find(enclave, "one");
  one.filter = FilterOf({{execve, {{}}, {}}});
  const auto closure = [&] { return VerdictOf(enclave, one, "execute-memfd").closure; };
  BOOST_TEST((closure() == Closure::kClosed));
  Find(enclave, "three").filter = FilterOf({{memfd_create, {{}}, {}}});
  BOOST_TEST((closure() == Closure::kClosed));
  Find(enclave, "two").filter = FilterOf({{memfd_create, {{}}, {}}});
  BOOST_TEST((closure() == Closure::kOpen));
}

BOOST_AUTO_TEST_CASE(AnOpenWayIsAMistake) {
  const std::string memory = "    syscalls: {allow: [\"@memory\", memfd_create]}\n";
  BOOST_TEST(CompileText(Granted(memory)).Mistakes() ==
             "8:24 E0545 `syscalls` of `one` can be got round (memory-wx-remap): one piece of "
             "memory is mapped twice, writable and executable; `memfd_create()` passes\n");
  // A seal against execve is none against mapping it as code.
  BOOST_TEST(CompileText(Granted("    syscalls: {allow: [\"@memory\", {memfd_create: {flags: "
                                 "{bits-set: [MFD_NOEXEC_SEAL]}}}]}\n"))
                 .Mistakes()
                 .find("E0545 `syscalls` of `one` can be got round (memory-wx-remap)") !=
             std::string::npos);
  // Said, waived: each is an answer.
  MustCompile(Granted("    syscalls: {allow: [\"@executable-memory\", memfd_create]}\n"));
  const Compiled waived = MustCompile(Granted(
      memory, "waivers: [{component: one, statement: syscalls, reason: r, until: 2099-01-01}]\n"));
  const LedgerRow* row = waived.Row("one", "components.one.ways-round.memory-wx-remap");
  BOOST_REQUIRE(row != nullptr);
  BOOST_TEST((row->status == Status::kWaived));
}

// Descriptors go on from one to the next, whatever lies between; over a pipe go bytes.
BOOST_AUTO_TEST_CASE(WhatIsPassedOnIsAPeersToo) {
  const auto chain = [](const char* kind, const std::string& first, const std::string& last) {
    std::string text = "bulkhead: 1\nenclave: test\ntarget: linux-6.18\ncomponents:\n";
    for (const char* name : {"a", "b", "c"}) {
      text += std::string("  ") + name + ":\n    exec: [/usr/bin/x]\n    files: {execute: " +
              (*name == 'c' ? "[/usr/bin/x, /usr/bin/y]" : "[/usr/bin/x]") + "}\n";
      if (*name == 'a') text += first;
      if (*name == 'c') text += last;
    }
    text += std::string("channels:\n  - {name: ab, from: a, to: b, kind: stream}\n") +
            "  - {name: bc, from: b, to: c, kind: " + kind + "}\n";
    return CompileText(text).Mistakes();
  };
  const std::string memory = "    syscalls: {allow: [\"@executable-memory\", memfd_create]}\n";
  const std::string code = "    syscalls: {allow: [\"@memory\"]}\n";
  BOOST_TEST(chain("stream", memory, code).find("(execute-memfd)") != std::string::npos);
  BOOST_TEST(chain("pipe", memory, code).find("(execute-memfd)") == std::string::npos);
  // Whose calls it is about is named.
  BOOST_TEST(chain("stream", memory, code).find("; `a` can hand it such a file") !=
             std::string::npos);
  const std::string tcp = "    network: {tcp: {connect: [443]}}\n";
  const std::string server =
      "    network: {unix: {listen: [{path: /run/edges/c/s, by: component}]}}\n";
  BOOST_TEST(chain("stream", tcp, server).find("(tcp-listen-passed)") != std::string::npos);
  BOOST_TEST(chain("pipe", tcp, server).find("(tcp-listen-passed)") == std::string::npos);
  BOOST_TEST(chain("stream", "", server).find("(tcp-listen-passed)") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
