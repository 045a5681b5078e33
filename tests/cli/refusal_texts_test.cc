// SPDX-License-Identifier: Apache-2.0
// What Nitro Enclaves' own kernels can't hold: refused at the statement's line, with what the
// target lacks, the Linux release that has it, and the choices. Each choice is then taken and
// holds, and a target that lacks nothing holds the statement as it is.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "tests/cli/support.h"

namespace bulkhead {
namespace {

constexpr const char* kTargets[] = {"nitro-stock", "nitro-stock-aarch64", "nitro-bootstrap"};
constexpr const char* kWhole = "linux-6.18";

// A component `one` with its program granted; `body` stands from line 8 on.
struct Text {
  std::string body;
  std::vector<std::string> waivers = {};  // statements
  std::string asset = {};
  bool measured = false;  // nothing waives that it isn't
};

struct Refused {
  const char* statement;
  Text text;
  std::string diagnostic;  // TARGET stands for the target's name
  std::vector<Text> choices;
};

constexpr const char* kGranted = "    files: {execute: [/usr/bin/one]}\n";

// What stands before the refusals: nothing here is about calls.
constexpr const char* kNoCalls =
    "policy.yaml:5:3: warning: `one` is given no system calls: hardly any program runs [E0563]\n"
    "      one:\n      ^~~\n"
    "  help: name an archetype in `profile`, beside what its program reads: `batch`, `gateway`, "
    "`stateful-service` or `untrusted-code`; or allow calls in `syscalls`\n";

std::string Waiver(const std::string& statement) {
  const std::string component = statement == "measure" ? "" : "component: one, ";
  return "  - {" + component + "statement: " + statement + ", reason: a test, until: 2030-01-01}\n";
}

std::string Policy(const Text& text, const std::string& target) {
  std::string policy = "bulkhead: 1\nenclave: test\ntarget: " + target +
                       "\ncomponents:\n  one:\n    exec: [/usr/bin/one]\n" + text.body + text.asset;
  const bool waives = target != kWhole && !text.measured;
  if (waives || !text.waivers.empty()) policy += "waivers:\n";
  if (waives) policy += Waiver("measure");
  for (const std::string& statement : text.waivers) policy += Waiver(statement);
  return policy;
}

struct Fixture {
  test::TemporaryDirectory directory;

  test::Outcome Check(const Text& text, const std::string& target) {
    test::WriteText(directory / "policy.yaml", Policy(text, target));
    return test::Bulkhead({"check", "policy.yaml", "--date", "2026-01-01"},
                          {.directory = directory.path(), .environment = {}});
  }
};

std::string For(std::string text, const std::string& target) {
  const std::string name = "TARGET";
  for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += target.size()) {
    text.replace(at, name.size(), target);
  }
  return text;
}

std::vector<Refused> AllRefused() {
  const std::string granted = kGranted;
  const std::string connect = granted + "    network: {tcp: {connect: [443]}}\n";
  const std::string bind = granted + "    network: {tcp: {bind: [443]}}\n";
  const std::string listen = granted + "    network: {tcp: {listen: [{port: 443, name: web}]}}\n";
  const std::string write = "    files: {execute: [/usr/bin/one], write: [/srv/a]}\n";
  return {
      {"files.write",
       {.body = write},
       "policy.yaml:7:46: error: `TARGET` can't tell `write` from `create`: it has no Landlock "
       "[E0536]\n"
       "        files: {execute: [/usr/bin/one], write: [/srv/a]}\n"
       "                                                 ^~~~~~\n"
       "  help: choices: `create`, a target with Landlock (Linux 5.13), or a waiver of "
       "`files.write`\n",
       {{.body = "    files: {execute: [/usr/bin/one], create: [/srv/a]}\n"},
        {.body = write, .waivers = {"files.write"}}}},
      {"network.tcp.connect",
       {.body = connect},
       "policy.yaml:8:31: error: `TARGET` can't limit TCP ports: Landlock ABI 4 is needed, it has "
       "0 [E0530]\n"
       "        network: {tcp: {connect: [443]}}\n"
       "                                  ^~~\n"
       "  help: choices: a unix edge, a target with Linux 6.7, or waivers of `network.tcp` and "
       "`network.unix`\n",
       {{.body = connect, .waivers = {"network.tcp", "network.unix"}}}},
      // The waiver of `network.tcp.bind` is for what no target closes: listening without a port.
      {"network.tcp.bind",
       {.body = bind, .waivers = {"network.tcp.bind"}},
       "policy.yaml:8:28: error: `TARGET` can't limit TCP ports: Landlock ABI 4 is needed, it has "
       "0 [E0530]\n"
       "        network: {tcp: {bind: [443]}}\n"
       "                               ^~~\n"
       "  help: choices: `tcp.listen` (opened by the supervisor), a unix edge, a target with Linux "
       "6.7, or waivers of `network.tcp` and `network.unix`\n",
       {{.body = listen},
        {.body = bind, .waivers = {"network.tcp.bind", "network.tcp", "network.unix"}}}},
      {"network",
       {.body = connect, .waivers = {"network.tcp"}},
       "policy.yaml:8:31: error: `TARGET` can't keep this component from abstract unix sockets in "
       "the enclave's network: Landlock ABI 6 is needed, it has 0 [E0531]\n"
       "        network: {tcp: {connect: [443]}}\n"
       "                                  ^~~\n"
       "  help: choices: no TCP ports of the component's own, as the empty network namespace "
       "closes "
       "them; a target with Linux 6.12; or a waiver of `network.unix`\n",
       {{.body = granted}, {.body = connect, .waivers = {"network.tcp", "network.unix"}}}},
      {"network.tcp.listen",
       {.body = listen + "    ready: notify\n"},
       "policy.yaml:8:30: error: `TARGET` can't keep this component from turning its listener into "
       "a connection to anywhere, itself or by passing it on [E0549]\n"
       "        network: {tcp: {listen: [{port: 443, name: web}]}}\n"
       "                                 ^\n"
       "  help: choices: a target with Linux 6.7 (Landlock ABI 4) or with `connect-guard` (Linux "
       "4.17, cgroup v2); no edge, channel or `ready: notify` in this component; a waiver of "
       "`network.tcp.listen`\n",
       {{.body = listen},
        {.body = listen + "    ready: notify\n", .waivers = {"network.tcp.listen"}}}},
      {"assets.key",
       {.body = granted, .asset = "assets: {key: {files: [/srv/key]}}\n"},
       "policy.yaml:8:10: error: attempts of `one` on the asset `key` can't be recorded on "
       "`TARGET` [E0529]\n"
       "    assets: {key: {files: [/srv/key]}}\n"
       "             ^~~\n"
       "  help: choices: a target with Landlock's audit records (Linux 6.15, in the initial PID "
       "and "
       "network namespaces) or with fanotify permission events (Linux 2.6.37, where they are built "
       "in), or the asset taken out\n",
       {{.body = granted}}},
      {"measure",
       {.body = granted + "measure: {policy: none}\n", .measured = true},
       "policy.yaml:8:19: error: the policy is not measured, and `TARGET` is a TEE target "
       "[E0555]\n"
       "    measure: {policy: none}\n"
       "                      ^~~~\n"
       "  help: write `measure: {policy: pcr20}` for Nitro, `rtmr3` for TDX, or under `waivers:` "
       "`- "
       "{statement: measure, reason: \"...\", until: YYYY-MM-DD}`\n",
       {{.body = granted + "measure: {policy: none}\n"}}},
  };
}

BOOST_FIXTURE_TEST_SUITE(RefusalTexts, Fixture)

BOOST_AUTO_TEST_CASE(EachNamesStatementReasonAndChoices) {
  for (const Refused& refused : AllRefused()) {
    for (const std::string target : kTargets) {
      const test::Outcome outcome = Check(refused.text, target);
      BOOST_TEST(outcome.exit == 1, refused.statement);
      BOOST_TEST(outcome.out == "", refused.statement);
      BOOST_TEST(outcome.err == kNoCalls + For(refused.diagnostic, target));
    }
    const test::Outcome whole = Check(refused.text, kWhole);
    BOOST_TEST(whole.exit == 0, refused.statement << "\n" << whole.err);
  }
}

// Nobody mends one to be told of the next.
BOOST_AUTO_TEST_CASE(AllAreToldAtOnce) {
  const Text all = {
      .body =
          "    files: {execute: [/usr/bin/one], write: [/srv/a]}\n    network: {tcp: {connect: "
          "[443], listen: [{port: 80, name: web}]}}\n    ready: notify\n",
      .asset = "assets: {key: {files: [/srv/key]}}\n",
      .measured = true};
  for (const std::string target : kTargets) {
    const test::Outcome outcome = Check(all, target);
    BOOST_TEST(outcome.exit == 1);
    for (const char* code : {"[E0529]", "[E0530]", "[E0536]", "[E0549]", "[E0555]"}) {
      BOOST_TEST(outcome.err.find(code) != std::string::npos, code << "\n" << outcome.err);
    }
  }
  const test::Outcome whole = Check(all, kWhole);
  BOOST_TEST(whole.exit == 0, whole.err);
}

BOOST_AUTO_TEST_CASE(EachChoiceHolds) {
  for (const Refused& refused : AllRefused()) {
    for (const Text& choice : refused.choices) {
      for (const std::string target : kTargets) {
        const test::Outcome outcome = Check(choice, target);
        BOOST_TEST(outcome.exit == 0, refused.statement << " on " << target << "\n" << outcome.err);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(TheOtherStatementsAreHeld) {
  const std::string granted = kGranted;
  const std::string write =
      "    files: {execute: [/usr/bin/one], create: [/srv/a], state: [/srv/b], runtime: [/run/c], "
      "private: [{path: /tmp, size: 1M}]}\n    ready: {file: /run/c/ready}\n";
  const std::string edge =
      "    network: {unix: {listen: [{path: /run/edges/a/s, name: a, from: [two]}]}}\n"
      "  two:\n    exec: [/usr/bin/two]\n    files: {execute: [/usr/bin/two]}\n"
      "    network: {unix: {connect: [/run/edges/a/s]}}\n";
  const std::string calls =
      "    syscalls: {allow: [\"@service\", \"@executable-memory\", memfd_create]}\n"
      "    on-violation: kill\n    ready: notify\n    critical: true\n";
  const std::string ends =
      "    restart: {when: always, at-most: 5, within: 60s}\n    stop: {signal: INT, within: 2s}\n";
  const std::string bodies[] = {
      "    files: {execute: [/usr/bin/one, /usr/bin/two, \"@loader\"], read: [\"@libraries\"]}\n",
      write,
      granted + "    network: {tcp: {listen: [{port: 443, name: web}]}}\n",
      granted + edge,
      granted + "    limits: {memory: 64M, processes: 8, files: 64, cpu: 50%, file-size: 1M}\n",
      granted + "    devices: [/dev/rtc0]\n    user: 7\n    env: {A: b}\n",
      granted + calls,
      granted + ends,
  };
  for (const std::string& body : bodies) {
    for (const std::string target : kTargets) {
      const test::Outcome outcome = Check({.body = body}, target);
      BOOST_TEST(outcome.exit == 0, target << "\n" << body << outcome.err);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
