// SPDX-License-Identifier: Apache-2.0
// Registers that targets have and lack, who may ask for documents, and that no filter lets a
// component's request to the devices pass.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "compiler/bundle_diff.h"
#include "compiler/filter_gen.h"
#include "compiler/why.h"
#include "profiles/syscalls.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead::testing {
namespace {

// A policy for `target`: `enclave` stands from line 4 on, `body` in component `one`.
std::string For(std::string_view target, std::string_view enclave, std::string_view body = "",
                std::string_view below = "") {
  return "bulkhead: 1\nenclave: test\ntarget: " + std::string(target) + "\n" +
         std::string(enclave) + "components:\n  one:\n    exec: [/usr/bin/one]\n" +
         "    files: {execute: [/usr/bin/one]}\n" + std::string(body) + std::string(below);
}

std::string Waiver(std::string_view statement, std::string_view component = "") {
  std::string line = "  - {";
  if (!component.empty()) line += "component: " + std::string(component) + ", ";
  return "waivers:\n" + line + "statement: " + std::string(statement) +
         ", reason: \"tested\", until: 2027-01-01}\n";
}

void Mistake(const std::string& text, std::string_view expected) {
  BOOST_TEST(CompileText(text).Mistakes() == expected);
}

BOOST_AUTO_TEST_SUITE(PlanMeasure)

BOOST_AUTO_TEST_CASE(RegistersAreThoseOfTheTarget) {
  const Compiled nitro =
      MustCompile(For("nitro-custom", "measure: {policy: pcr20, events: pcr21}\n"));
  const Measure expected{
      .kind = RegisterKind::kNitro, .policy = 20, .events = 21, .nsm = "/dev/nsm"};
  BOOST_TEST((nitro->measure == expected));
  BOOST_TEST((nitro.Row("", "measure")->status == Status::kEnforced));
  const Compiled tdx = MustCompile(For("tdx-ubuntu-25.10", "measure: {policy: rtmr3}\n"));
  BOOST_TEST((tdx->measure.kind == RegisterKind::kTdx));
  BOOST_TEST(tdx->measure.policy == 3U);
  BOOST_TEST(!tdx->measure.events.has_value());
  BOOST_TEST(tdx->measure.rtmr == "/sys/devices/virtual/misc/tdx_guest/measurements");
  BOOST_TEST(tdx->measure.tdx == "/dev/tdx_guest");
  BOOST_TEST(tdx->measure.tsm == "/sys/kernel/config/tsm/report");
  BOOST_TEST(tdx->measure.event_log == "/run/bulkhead/events.log");
  BOOST_TEST(tdx->measure.nsm.empty());
  const Compiled tpm =
      MustCompile(For("debian-13", "measure: {policy: tpm-pcr14, events: tpm-pcr14}\n"));
  BOOST_TEST((tpm->measure.kind == RegisterKind::kTpm));
  BOOST_TEST(tpm->measure.tpm == "/dev/tpmrm0");
  BOOST_TEST(!tpm->measure.Attests());
  const Compiled none = MustCompile(For("debian-13", "measure: {policy: none}\n"));
  BOOST_TEST((none->measure == Measure{}));
  // dstack's own log is the one that replays to its register.
  const Compiled dstack = MustCompile(For("dstack", "measure: {policy: rtmr3}\n"));
  BOOST_TEST(dstack->measure.event_log == "/run/log/dstack/runtime_events.log");
}

BOOST_AUTO_TEST_CASE(RegistersThatATargetLacksAreMistakes) {
  Mistake(For("debian-13", "measure: {policy: pcr20}\n"),
          "4:19 E0585 `debian-13` has no `pcr20`: its platform is `none`\n");
  Mistake(For("nitro-custom", "measure: {policy: rtmr3}\n"),
          "4:19 E0585 `nitro-custom` has no `rtmr3`: its platform is `nitro`\n");
  Mistake(
      For("tdx-ubuntu-24.04", "measure: {policy: rtmr3}\n"),
      "4:19 E0585 `tdx-ubuntu-24.04` can't extend `rtmr3`: its Linux 6.8 has no files for it\n");
  Mistake(For("nitro-custom", ""),
          "3:9 E0555 the policy is not measured, and `nitro-custom` is a TEE target\n");
  Mistake(For("nitro-custom", "measure: {policy: none}\n"),
          "4:19 E0555 the policy is not measured, and `nitro-custom` is a TEE target\n");
  const Compiled waived =
      MustCompile(For("nitro-custom", "measure: {policy: none}\n", "", Waiver("measure")));
  BOOST_TEST((waived.Row("", "measure")->status == Status::kWaived));
  Mistake(For("nitro-custom", "measure: {policy: tpm-pcr14}\n"),
          "4:19 E0585 `nitro-custom` has no `tpm-pcr14`: a Nitro enclave has no TPM\n");
  for (const char* target : {"tdx-ubuntu-24.04", "debian-13"}) {
    MustCompile(For(target, "measure: {policy: tpm-pcr14}\n"));
  }
}

BOOST_AUTO_TEST_CASE(ChoicesAreTheTargetsOwn) {
  const auto help = [](const char* target, const char* wanted) {
    const Compiled compiled =
        CompileText(For(target, "measure: {policy: " + std::string(wanted) + "}\n"));
    BOOST_REQUIRE(!compiled.diagnostics.Sorted().empty());
    return compiled.diagnostics.Sorted().front().help;
  };
  const std::string rest = "`tpm-pcr14` of a vTPM, or `none` with a waiver of `measure`";
  BOOST_TEST(help("tdx-ubuntu-25.10", "pcr20") == "choices: `rtmr3`, " + rest);
  BOOST_TEST(help("dstack", "pcr20") == "choices: `rtmr3`, " + rest);
  BOOST_TEST(help("nitro-custom", "rtmr3") ==
             "choices: `pcr20`, or `none` with a waiver of `measure`");
  BOOST_TEST(help("tdx-ubuntu-24.04", "rtmr3") ==
             "choices: a target with Linux 6.16 for `rtmr3`, " + rest);
  BOOST_TEST(help("debian-13", "pcr20") == "choices: `tpm-pcr14` of a vTPM, or `none`");
}

BOOST_AUTO_TEST_CASE(EventsGoWhereTheyFit) {
  Mistake(For("nitro-custom", "measure: {policy: pcr20, events: rtmr3}\n"),
          "4:34 E0586 events can't go to `rtmr3` when the policy goes to `pcr20`\n");
  Mistake(For("tdx-ubuntu-25.10", "measure: {policy: rtmr3, events: pcr21}\n"),
          "4:34 E0586 events can't go to `pcr21` when the policy goes to `rtmr3`\n");
  Mistake(For("debian-13", "measure: {policy: none, events: tpm-pcr14}\n"),
          "4:33 E0586 events can't go to `tpm-pcr14` when the policy goes nowhere\n");
}

BOOST_AUTO_TEST_CASE(AttestationIsGivenByVerb) {
  const Compiled all = MustCompile(
      For("nitro-custom", "measure: {policy: pcr20}\n",
          "    attestation: {attest: true, public-key: true, random: true, rate: 5/s}\n"));
  const Attestation& given = all.Component("one").attestation;
  BOOST_TEST((given.given && given.attest && given.public_key && given.random));
  BOOST_TEST(given.count == 5U);
  BOOST_TEST(given.window_ms == 1000U);
  BOOST_TEST(given.rule == "components.one.attestation");
  BOOST_TEST((all.Row("one", "components.one.attestation")->status == Status::kEnforced));
  const Compiled some = MustCompile(
      For("tdx-ubuntu-25.10", "measure: {policy: rtmr3}\n", "    attestation: {random: true}\n"));
  BOOST_TEST(!some.Component("one").attestation.attest);
  BOOST_TEST(some.Component("one").attestation.count == 10U);
  BOOST_TEST(some.Component("one").attestation.window_ms == 60000U);
  const Compiled none = MustCompile(For("nitro-custom", "measure: {policy: pcr20}\n"));
  BOOST_TEST((none.Component("one").attestation == Attestation{}));
}

BOOST_AUTO_TEST_CASE(AttestationThatCanNotBeIsAMistake) {
  const std::string measured = "measure: {policy: pcr20}\n";
  Mistake(For("nitro-custom", measured, "    attestation: {attest: false}\n"),
          "9:18 E0587 `attestation` gives nothing\n");
  Mistake(For("nitro-custom", measured, "    attestation: {random: true, public-key: true}\n"),
          "9:45 E0587 a key has no document to be in\n");
  Mistake(For("tdx-ubuntu-25.10", "measure: {policy: rtmr3}\n",
              "    attestation: {attest: true, public-key: true}\n"),
          "9:45 E0589 a TDX quote has no place for a key\n");
  const std::string attest = "    attestation: {attest: true}\n";
  Mistake(For("debian-13", "", attest),
          "8:18 E0588 `debian-13` has nothing that attests: its platform is `none`\n");
  const Compiled waived = MustCompile(For("debian-13", "", attest, Waiver("attestation", "one")));
  BOOST_TEST(!waived.Component("one").attestation.given);
  BOOST_TEST((waived.Row("one", "components.one.attestation")->status == Status::kWaived));
}

BOOST_AUTO_TEST_CASE(DocumentsThatDoNotShowThePolicyAreWarnedOf) {
  const auto warnings = [](const char* target, const std::string& measure, const char* asks,
                           const std::string& waiver = "") {
    const Compiled compiled = MustCompile(For(target, measure, asks, waiver));
    const auto row = compiled.Row("one", "components.one.attestation");
    const auto all = compiled.diagnostics.Sorted();
    const auto count = std::ranges::count(all, "E0590", &Diagnostic::code);
    BOOST_TEST(row->note.empty() == (count == 0));
    return count;
  };
  const char* attest = "    attestation: {attest: true}\n";
  const std::string tpm = "measure: {policy: tpm-pcr14}\n";
  BOOST_TEST(warnings("tdx-ubuntu-24.04", tpm, attest) == 1);
  BOOST_TEST(warnings("tdx-ubuntu-25.10", tpm, attest) == 1);
  BOOST_TEST(warnings("tdx-ubuntu-25.10", tpm, "    attestation: {random: true}\n") == 0);
  BOOST_TEST(warnings("tdx-ubuntu-25.10", "measure: {policy: rtmr3}\n", attest) == 0);
  BOOST_TEST(warnings("nitro-custom", "measure: {policy: pcr20}\n", attest) == 0);
  BOOST_TEST(warnings("nitro-custom", "measure: {policy: none}\n", attest, Waiver("measure")) == 1);
  // A mistake in the measure is said alone.
  for (const char* measure : {"measure: {policy: none}\n", "measure: {policy: tpm-pcr14}\n"}) {
    const Compiled refused = CompileText(For("nitro-custom", measure, attest));
    const auto all = refused.diagnostics.Sorted();
    BOOST_TEST(std::ranges::count(all, "E0590", &Diagnostic::code) == 0, measure);
  }
}

BOOST_AUTO_TEST_CASE(ALogThatEndsWithItsEnclaveIsWarnedOf) {
  const auto warnings = [](const char* target, const std::string& more) {
    const Compiled compiled = MustCompile(For(target, more, ""));
    return std::ranges::count(compiled.diagnostics.Sorted(), "E0592", &Diagnostic::code);
  };
  const std::string nitro = "measure: {policy: pcr20}\n";
  const std::string file = "audit: {sinks: [{file: /var/log/a}, stdout]}\n";
  BOOST_TEST(warnings("nitro-custom", nitro) == 1);
  BOOST_TEST(warnings("nitro-custom", nitro + file) == 1);
  BOOST_TEST(warnings("nitro-custom", nitro + "audit: {sinks: [{vsock: \"parent:9001\"}]}\n") == 0);
  BOOST_TEST(warnings("nitro-custom", nitro + "audit: {sinks: [{unix: /run/sender}]}\n") == 0);
  BOOST_TEST(warnings("tdx-ubuntu-25.10", "measure: {policy: rtmr3}\n" + file) == 0);
  BOOST_TEST(warnings("debian-13", file) == 0);
}

// A target of one's own says where its devices are; nobody else gets to them.
BOOST_AUTO_TEST_CASE(DevicesOfTheTargetAreNobodys) {
  const auto elsewhere = [](LoadedPolicy& loaded) {
    loaded.target.devices["nsm"] = "/dev/attest/zero";
    loaded.target.devices["event-log"] = "/srv/log/events";
  };
  const std::string measured = "measure: {policy: pcr20}\n";
  BOOST_TEST(MustCompile(For("nitro-custom", measured), elsewhere)->measure.nsm ==
             "/dev/attest/zero");
  for (const char* device : {"/dev/attest/zero", "/dev/attest", "/dev/nsm"}) {
    const Compiled refused = CompileText(
        For("nitro-custom", measured, "    devices: [" + std::string(device) + "]\n"), elsewhere);
    BOOST_TEST(refused.Mistakes().find(" E0539 ") != std::string::npos, refused.Mistakes());
  }
  const Compiled log = CompileText(
      "bulkhead: 1\nenclave: test\ntarget: nitro-custom\nmeasure: {policy: pcr20}\ncomponents:\n"
      "  one:\n    exec: [/usr/bin/one]\n    files: {execute: [/usr/bin/one], read: [/srv/log]}\n",
      elsewhere);
  BOOST_TEST(log.Mistakes() ==
             "8:45 E0524 `/srv/log` reaches the supervisor's `/srv/log/events`\n");
}

// Whatever a component is allowed of ioctl: the module's request and a TDX report's are refused, in
// every width that the kernel takes for the same.
BOOST_AUTO_TEST_CASE(RequestsToTheDevicesAreRefusedInEveryFilter) {
  for (const char* target : {"nitro-custom", "nitro-bootstrap", "nitro-stock", "debian-12"}) {
    const std::string tee = std::string_view(target).starts_with("nitro") ? "pcr20" : "none";
    const Compiled open = CompileText(For(target, "measure: {policy: " + tee + "}\n",
                                          "    syscalls: {allow: [\"@service\", ioctl]}\n"));
    if (!open.compilation) continue;  // what this target can't enforce is another test's matter
    const ProfileData& profile = open.Component("one");
    BOOST_TEST(Allows(profile, "ioctl", {3, 0x5401}), target);
    for (const uint64_t request : {0xc0200a00ULL, 0xc4405401ULL}) {
      for (const uint64_t high : {0ULL, 1ULL << 32, ~0ULL << 32}) {
        BOOST_TEST(!Allows(profile, "ioctl", {3, request | high}), target << " " << request);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(WhoMayAskForWhat) {
  const std::string other =
      "  two:\n    exec: [/usr/bin/two]\n    files: {execute: [/usr/bin/two], read: [/srv]}\n"
      "    syscalls: {allow: [\"@files\", ioctl]}\n";
  for (const auto& [target, measured] :
       {std::pair("nitro-custom", "measure: {policy: pcr20}\n"),
        std::pair("tdx-ubuntu-25.10", "measure: {policy: rtmr3}\n")}) {
    const Compiled compiled =
        MustCompile(For(target, measured, "    attestation: {attest: true, rate: 7/min}\n", other));
    const auto ask = [&](std::string_view component, const std::string& object) {
      const auto answer = Why(compiled.compilation->bundle, component, "attest", {object});
      BOOST_REQUIRE_MESSAGE(answer.has_value(), (answer ? "" : answer.error()));
      return *answer;
    };
    const Explanation given = ask("one", "document");
    BOOST_TEST((given.verdict == Verdict::kAllow), target);
    BOOST_TEST(given.rule == "components.one.attestation");
    BOOST_TEST(given.controls.back().text ==
               "documents, bound to `one` and to the bundle; 7 requests in 60 s");
    for (const char* object : {"public-key", "random"}) {
      const Explanation refused = ask("one", object);
      BOOST_TEST((refused.verdict == Verdict::kDeny), object);
      BOOST_TEST(refused.rule == "components.one.attestation");
      BOOST_TEST((refused.recorder == Recorder::kLifecycle));
    }
    for (const std::string_view object : kAttested) {
      const Explanation refused = ask("two", std::string(object));
      BOOST_TEST((refused.verdict == Verdict::kDeny), object);
      BOOST_TEST(refused.rule == "components.two.attestation");
      BOOST_TEST((refused.recorder == Recorder::kNone));
    }
  }
  // Who is waived gets nothing.
  const Compiled waived = MustCompile(
      For("debian-13", "", "    attestation: {attest: true}\n", Waiver("attestation", "one")));
  const auto nothing = Why(waived.compilation->bundle, "one", "attest", {"document"});
  BOOST_REQUIRE(nothing.has_value());
  BOOST_TEST((nothing->verdict == Verdict::kDeny));
  BOOST_TEST(nothing->note == "nothing on this target attests");
  BOOST_TEST(Why(waived.compilation->bundle, "one", "attest", {"quote"}).error() ==
             "`attest` takes document, public-key or random");
}

// No policy shows a component the module, and a bundle is judged all the same: it takes the node in
// the view and the request, both of them.
BOOST_AUTO_TEST_CASE(WhoHasTheModuleNeedsNoSocket) {
  const Compiled compiled = MustCompile(For("nitro-custom", "measure: {policy: pcr20}\n"));
  const auto with = [&](bool node, bool request) {
    BundleData data = *compiled;
    ProfileData& one = data.components.front();
    one.landlock = {};
    if (node) one.view.push_back({.path = "/dev/nsm", .kind = ViewKind::kDevice});
    std::ranges::sort(one.view, {}, &ViewEntry::path);
    CallPlan plan;
    for (const char* call : {"ioctl", "openat"}) {
      if (!request && call == std::string_view("ioctl")) continue;
      plan.rules.push_back({*SyscallNumber(Arch::kX86_64, call), {{}}, {}});
    }
    const auto filter = GenerateFilter(plan);
    BOOST_REQUIRE(filter.has_value());
    one.filter = *filter;
    const auto bundle = Bundle::Make(std::move(data));
    BOOST_REQUIRE_MESSAGE(bundle.has_value(), (bundle ? "" : bundle.error()));
    const auto answer = Why(*bundle, "one", "attest", {"document"});
    BOOST_REQUIRE(answer.has_value());
    return answer->verdict;
  };
  BOOST_TEST((with(true, true) < Verdict::kDeny));
  BOOST_TEST((with(true, false) == Verdict::kDeny));
  BOOST_TEST((with(false, true) == Verdict::kDeny));
}

BOOST_AUTO_TEST_CASE(InvariantsAndTestsAreAboutAttestation) {
  const std::string body = "    attestation: {attest: true}\n";
  const auto with = [&](const std::string& below) {
    return CompileText(For("nitro-custom", "measure: {policy: pcr20}\n", body, below)).Mistakes();
  };
  BOOST_TEST(with("invariants: [no component but one may attest document]\n") == "");
  BOOST_TEST(with("invariants: [no component may attest random]\n") == "");
  BOOST_TEST(with("invariants: [no component may attest document]\n") ==
             "10:14 E0703 `no component may attest document` does not hold\n");
  BOOST_TEST(with("invariants: [no component may attest quote]\n") ==
             "10:14 E0701 `attest` takes document, public-key or random\n");
  // The schema and the table of actions name the same things.
  for (const std::string_view object : kAttested) {
    BOOST_TEST(with("tests: [{component: one, attest: " + std::string(object) +
                    ", expect: allow}]\n") == "");
  }
}

BOOST_AUTO_TEST_CASE(DiffTellsWhatIsGivenAndTaken) {
  const auto of = [](std::string_view body) {
    return MustCompile(For("nitro-custom", "measure: {policy: pcr20}\n", body));
  };
  const Compiled none = of("");
  const Compiled random = of("    attestation: {random: true}\n");
  const Compiled more = of("    attestation: {random: true, attest: true, rate: 20/min}\n");
  const auto changes = [](const Compiled& before, const Compiled& after) {
    std::set<std::string> found;
    const auto all = DiffBundles(before.compilation->bundle, after.compilation->bundle);
    BOOST_REQUIRE(all.has_value());
    for (const Difference& d : *all) {
      if (d.area == "attestation") {
        found.insert(std::string(ChangeName(d.change)) + " " + d.witness);
      }
    }
    return found;
  };
  using Set = std::set<std::string>;
  BOOST_TEST((changes(none, random) == Set{"widened attest random"}));
  BOOST_TEST((changes(random, none) == Set{"narrowed attest random"}));
  BOOST_TEST((changes(random, more) == Set{"widened attest document", "widened rate"}));
  BOOST_TEST((changes(more, random) == Set{"narrowed attest document", "narrowed rate"}));
  BOOST_TEST(changes(more, more).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead::testing
