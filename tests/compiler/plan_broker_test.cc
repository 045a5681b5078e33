// SPDX-License-Identifier: Apache-2.0
// What a statement about addresses comes to: what the filter leaves to the broker, the broker's
// rules, the ledger, and the answers.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>

#include "compiler/ask.h"
#include "compiler/closure.h"
#include "compiler/question.h"
#include "tests/compiler/compile_support.h"

namespace bulkhead {
namespace {

using testing::Allows;
using testing::Compiled;
using testing::CompileText;
using testing::Granted;
using testing::MustCompile;
using testing::WithLevel;

constexpr uint64_t kInet = 2;
constexpr uint64_t kInet6 = 10;
constexpr uint64_t kVsock = 40;
constexpr uint64_t kStream = 1;
constexpr uint64_t kDgram = 2;
constexpr const char* kSends = "    syscalls: {allow: [sendto, sendmsg, sendmmsg]}\n";

bool Takes(const ProfileData& profile, std::string_view call) {
  return std::ranges::binary_search(profile.broker.calls, *SyscallNumber(profile.arch, call));
}

std::string Network(const std::string& value) { return "    network: " + value + "\n"; }

Explanation Explain(const Compiled& compiled, const std::string& action,
                    const std::string& object) {
  Evaluator evaluator(compiled.compilation->bundle);
  const auto question = ParseQuestion(Arch::kX86_64, action, {object});
  BOOST_REQUIRE_MESSAGE(question.has_value(), question.error());
  const auto answer = evaluator.Ask(compiled.Component("one"), *question);
  BOOST_REQUIRE_MESSAGE(answer.has_value(), answer.error());
  return *answer;
}

Verdict Ask(const Compiled& compiled, const std::string& action, const std::string& object) {
  return Explain(compiled, action, object).verdict;
}

BOOST_AUTO_TEST_SUITE(PlanOfBroker)

BOOST_AUTO_TEST_CASE(TcpAddress) {
  const Compiled compiled = MustCompile(
      Granted(Network("{tcp: {connect: [443, {to: 10.0.0.1, port: 80}, {to: 10.0.0.2, port: "
                      "80}]}}") +
              kSends));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST((one.network == Network::kShared));
  BOOST_TEST(one.landlock.ports.empty());
  BOOST_TEST(!Allows(one, "connect"));
  BOOST_TEST(!Allows(one, "bind"));
  BOOST_TEST(Takes(one, "connect"));
  BOOST_TEST(!Takes(one, "bind"));
  BOOST_TEST(Allows(one, "socket", {kInet, kStream, 0}));
  BOOST_TEST(!Allows(one, "socket", {kInet, kDgram, 0}));
  BOOST_TEST(!Allows(one, "socket", {kVsock, kStream, 0}));
  // Nobody is there to whom it could pass a socket.
  BOOST_TEST(Allows(one, "sendmsg"));
  BOOST_REQUIRE(one.broker.rules.size() == 3U);
  BOOST_TEST(one.broker.rules[0].address == 0x0a000001U);
  BOOST_TEST(one.broker.rules[0].rule == "components.one.network.tcp.connect:10.0.0.1:80");
  BOOST_TEST(one.broker.rules[2].any);
  const LedgerRow* row = compiled.Row("one", "components.one.network.tcp.connect");
  BOOST_TEST((row->recorder == Recorder::kBroker));
  BOOST_TEST((row->controls[0].layer == Layer::kBroker));
  for (const auto& [object, verdict] : {std::pair("tcp:10.0.0.1:80", Verdict::kAllow),
                                        {"tcp:10.0.0.3:80", Verdict::kDeny},
                                        {"tcp:10.0.0.3:443", Verdict::kAllow},
                                        {"tcp:10.0.0.1:81", Verdict::kDeny},
                                        {"udp:10.0.0.1:80", Verdict::kDeny},
                                        {"vsock:3:80", Verdict::kDeny},
                                        {"unix:@name", Verdict::kDeny},
                                        {"unix:/run/x", Verdict::kDeny}}) {
    BOOST_TEST((Ask(compiled, "connect", object) == verdict), object);
  }
  // The statement that names the address, or such addresses.
  const std::string named = "components.one.network.tcp.connect";
  BOOST_TEST(Explain(compiled, "connect", "tcp:10.0.0.1:80").rule == named + ":10.0.0.1:80");
  BOOST_TEST(Explain(compiled, "connect", "tcp:10.0.0.3:80").rule == named);
  BOOST_TEST(Explain(compiled, "connect", "udp:10.0.0.1:80").rule == "components.one.network");
  // The broker does not know what a name stands for.
  const Explanation name = Explain(compiled, "connect", "tcp:example.org:80");
  BOOST_TEST((name.verdict == Verdict::kUndecided));
  for (const ControlVerdict& control : name.controls) {
    BOOST_TEST((control.verdict == Verdict::kUndecided) == (control.layer == Layer::kBroker));
  }
}

BOOST_AUTO_TEST_CASE(Udp) {
  const Compiled compiled = MustCompile(
      Granted(Network("{udp: {connect: [{to: 127.0.0.1, port: 53}], bind: [5353]}}") + kSends));
  const ProfileData& one = compiled.Component("one");
  for (const char* call : {"connect", "bind", "sendto", "sendmsg"}) {
    BOOST_TEST(Takes(one, call), call);
  }
  BOOST_TEST(Allows(one, "sendto", {3, 0, 0, 0, 0, 0}));
  BOOST_TEST(!Allows(one, "sendto", {3, 0, 0, 0, 1, 16}));
  BOOST_TEST(!Allows(one, "sendto", {3, 0, 0, 0, uint64_t{1} << 32, 16}));
  BOOST_TEST(!Allows(one, "sendmsg"));
  BOOST_TEST(!Allows(one, "sendmmsg"));
  BOOST_TEST(!Takes(one, "sendmmsg"));
  BOOST_TEST(Allows(one, "socket", {kInet, kDgram, 17}));
  BOOST_TEST(!Allows(one, "socket", {kInet, kStream, 0}));
  BOOST_TEST(!Allows(one, "socket", {kInet, kDgram, 136}));
  BOOST_TEST((Ask(compiled, "connect", "udp:127.0.0.1:53") == Verdict::kAllow));
  BOOST_TEST((Ask(compiled, "connect", "udp:127.0.0.2:53") == Verdict::kDeny));
  BOOST_TEST((Ask(compiled, "listen", "udp:5353") == Verdict::kAllow));
  BOOST_TEST((Ask(compiled, "listen", "udp:53") == Verdict::kDeny));
}

BOOST_AUTO_TEST_CASE(Vsock) {
  const Compiled compiled =
      MustCompile(Granted(Network("{vsock: {connect: [\"parent:9001\", \"2:1\"]}}") + kSends));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST((one.network == Network::kNone));
  BOOST_TEST(Allows(one, "socket", {kVsock, kStream, 0}));
  BOOST_TEST(!Allows(one, "socket", {kVsock, kDgram, 0}));
  BOOST_TEST(!Allows(one, "socket", {kInet6, kStream, 0}));
  BOOST_TEST(!Allows(one, "listen"));
  for (const auto& [object, verdict] : {std::pair("vsock:parent:9001", Verdict::kAllow),
                                        {"vsock:3:9001", Verdict::kAllow},
                                        {"vsock:3:9002", Verdict::kDeny},
                                        {"vsock:2:1", Verdict::kAllow},
                                        {"vsock:2:9001", Verdict::kDeny}}) {
    BOOST_TEST((Ask(compiled, "connect", object) == verdict), object);
  }
  BOOST_TEST((Ask(compiled, "listen", "vsock:3:9001") == Verdict::kDeny));
}

BOOST_AUTO_TEST_CASE(ListeningOnVsockIsAskedByPort) {
  const Compiled compiled =
      MustCompile(Granted(Network("{vsock: {listen: [{port: 8443, name: front}]}}") +
                          "    syscalls: {allow: [\"@service\"]}\n"));
  for (const auto& [object, verdict] : {std::pair("vsock:8443", Verdict::kAllow),
                                        {"vsock:8444", Verdict::kDeny},
                                        {"vsock:3:8443", Verdict::kAllow}}) {
    BOOST_TEST((Ask(compiled, "listen", object) == verdict), object);
  }
  const auto connect = ParseQuestion(compiled.Component("one").arch, "connect",
                                     std::vector<std::string>{"vsock:8443"});
  BOOST_REQUIRE(!connect.has_value());
  BOOST_TEST(connect.error().ends_with("or vsock:CID:PORT"), connect.error());
}

// By an edge a socket could be passed to who may connect it.
BOOST_AUTO_TEST_CASE(LinkedComponentsPassNothing) {
  const std::string server =
      "  two:\n    exec: [/usr/bin/two]\n    files: {execute: [/usr/bin/two]}\n"
      "    network: {unix: {listen: [{path: /run/e/s.sock, name: s, from: [one]}]}}\n"
      "    syscalls: {allow: [sendmsg]}\n";
  const Compiled compiled = MustCompile(Granted(
      Network("{unix: {connect: [/run/e/s.sock]}, vsock: {connect: [\"3:9001\"]}}") + kSends,
      server));
  const ProfileData& one = compiled.Component("one");
  BOOST_TEST(!Allows(one, "sendmsg"));
  BOOST_TEST(Takes(one, "sendmsg"));
  BOOST_TEST(!Allows(one, "connect"));
  BOOST_TEST(one.broker.paths);
  BOOST_TEST(Allows(compiled.Component("two"), "sendmsg"));
  BOOST_TEST(compiled.Component("two").broker.calls.empty());
  BOOST_TEST((Ask(compiled, "connect", "unix:/run/e/s.sock") == Verdict::kAllow));
  // Without the broker's hold on its messages the way is open.
  BundleData enclave = *compiled;
  ProfileData& open = *std::ranges::find(enclave.components, "one", &ProfileData::name);
  open.filter = MustCompile(Granted(kSends)).Component("one").filter;
  ClosureCheck check(enclave);
  const auto verdicts = check.Judge(open);
  BOOST_REQUIRE(verdicts.has_value());
  for (const WayVerdict& verdict : *verdicts) {
    if (verdict.way->id == "broker-passed") BOOST_TEST((verdict.closure == Closure::kOpen));
  }
}

BOOST_AUTO_TEST_CASE(WhatIsDeniedIsNotBrokered) {
  const Compiled compiled =
      MustCompile(Granted(Network("{udp: {connect: [53]}}") + "    syscalls: {deny: [sendmsg]}\n"));
  BOOST_TEST(!Takes(compiled.Component("one"), "sendmsg"));
  BOOST_TEST(Takes(compiled.Component("one"), "sendto"));
}

BOOST_AUTO_TEST_CASE(WithoutWhatItNeeds) {
  const auto mistakes = [](const std::string& network, const testing::Change& change = {},
                           const std::string& target = {}) {
    return CompileText(Granted(Network(network)), change, target).Mistakes();
  };
  const std::string vsock = "{vsock: {connect: [\"3:9001\"]}}";
  BOOST_TEST(mistakes(vsock).empty());
  BOOST_TEST(mistakes(vsock, WithLevel(Feature::kPidfd, 0)).find("E0570") != std::string::npos);
  BOOST_TEST(mistakes(vsock, {}, "nitro-stock").find("E0570") != std::string::npos);
  // A signal would have the call made again.
  BOOST_TEST(mistakes(vsock, WithLevel(Feature::kSeccompWaitKillable, 0))
                 .find("a call would be made twice") != std::string::npos);
  BOOST_TEST(mistakes("{tcp: {connect: [{to: 0.0.0.0, port: 1}]}}").find("E0571") !=
             std::string::npos);
  BOOST_TEST(mistakes("{tcp: {bind: [80]}, udp: {connect: [53]}}").find("E0572") !=
             std::string::npos);
  // An address needs no Landlock, and names without a path are the broker's to refuse.
  const std::string tcp = "{tcp: {connect: [{to: 127.0.0.1, port: 6379}]}}";
  BOOST_TEST(mistakes(tcp, WithLevel(Feature::kLandlock, 2)) == "");
  BOOST_TEST(mistakes("{tcp: {connect: [6379]}}", WithLevel(Feature::kLandlock, 2)).find("E0530") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
